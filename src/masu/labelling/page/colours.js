/** A colour for each class: light and strong, so that black text on it and a dark line around it can always be read. */

// Okabe and Ito's colours, which people with any colour vision tell apart, lightened where black text needs it.
const FIRST = ["#56b4e9", "#f0a93a", "#2fc79b", "#f0e442", "#ff8a5c", "#e394c4", "#8fb8ff", "#c9c9c9"];

export function colourOf(number) {
  if (number < 0) return "#ffffff";
  if (number < FIRST.length) return FIRST[number];
  return `hsl(${Math.round((number * 137.508) % 360)} 80% ${number % 2 ? 70 : 78}%)`;
}
