// Okabe and Ito's colours, in the order of masu's drawings.

const PALETTE = ["#e69f00", "#56b4e9", "#009e73", "#d55e00", "#f0e442", "#cc79a7", "#0072b2"];
const DARK = new Set(["#0072b2", "#d55e00"]);

export const colourOf = (label) => PALETTE[label % PALETTE.length];
export const inkOf = (label) => (DARK.has(colourOf(label)) ? "#fff" : "#000");
