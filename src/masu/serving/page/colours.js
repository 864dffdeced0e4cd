// A colour for each class, light enough for black letters: those of the page of `masu label`.

const PALETTE = ["#56b4e9", "#f0a93a", "#2fc79b", "#f0e442", "#ff8a5c", "#e394c4", "#8fb8ff", "#c9c9c9"];

export const colourOf = (label) => PALETTE[label % PALETTE.length];
