// What differs between recurrent cells: their quantities, and how they edit the newspaper.
//
// A further cell is a further entry of CELLS, under the name that the server has for it:
//
//   quantities   by the server's names: symbol, name, meaning, scale, and, where the quantity
//                is drawn as a curve, the curve's color (in style.css) and dash
//   plots        the curves of one unit: a scale, and the quantities that are drawn on it
//   carried      the quantity that is handed on to the next character
//   traced       the quantities that the core's trace has, in its order
//   products     those that are the product of two others; `before` is C_t of the step before
//   apart        optional: how many of its gates, the last ones, have a recurrent bias of their own
//   newspaper    headings    of the table's columns, if there is an article to edit
//                flow        from the values of one character, `before` (the carried quantity,
//                            one character ago) among them, arrays with a number per unit:
//                            old, keep (0 to 1), kept, added, article; headline
//                equations   what the table says of one unit, from the same values
//                drawn       how a value of the article is drawn, to be between -1 and 1
//                drawnNote   the same in words
//                drawing     optional: the cell's switches in its picture (cell_picture.js), from
//                            the values of one unit: keep, add, show, recall, and the candidate,
//                            each a label and a value; words for the flows
//                steps       what is done for each character: how far it `shows` (see STAGES),
//                            its title, a summary of the flow, a caption of the picture
"use strict";

// A scale: its ends, its colors, and the position of a value on it, 0 to 1.
const GATE = { low: "0", high: "1", colors: "gate", position: (value) => value };
const SIGNED = { low: MINUS + "1", high: "1", colors: "signed", position: (value) => (value + 1) / 2 };
const UNBOUNDED = {
  low: MINUS + "∞",
  high: "∞",
  colors: "signed",
  position: (value) => SIGNED.position(value / (1 + Math.abs(value))),
};

const CELLS = {
  lstm: {
    quantities: {
      f_t: { symbol: "f", name: "forget gate", meaning: "the share of the article that is kept", scale: GATE, curve: ["ink", "solid"] },
      fC_t: { symbol: "fC", name: "kept", meaning: "what is left of the article: f × the C before", scale: UNBOUNDED },
      i_t: { symbol: "i", name: "input gate", meaning: "the share of the candidate that is written in", scale: GATE, curve: ["orange-curve", "dashed"] },
      g_t: { symbol: "g", name: "candidate", meaning: "what could be written into the article", scale: SIGNED, curve: ["orange-curve", "dotted"] },
      gi_t: { symbol: "gi", name: "written in", meaning: "what is added to the article: i × g", scale: SIGNED },
      C_t: { symbol: "C", name: "article", meaning: "the cell state: fC + gi", scale: UNBOUNDED, curve: ["ink", "solid"] },
      o_t: { symbol: "o", name: "output gate", meaning: "the share of the article that is shown", scale: GATE, curve: ["blue-curve", "dotted"] },
      h_t: { symbol: "h", name: "headline", meaning: "the hidden state: o × tanh C", scale: SIGNED, curve: ["blue-curve", "dashed"] },
    },
    plots: [
      { scale: GATE, quantities: ["f_t", "i_t", "o_t"] },
      { scale: SIGNED, quantities: ["g_t", "C_t", "h_t"] },
    ],
    carried: "C_t",
    traced: ["i_t", "f_t", "g_t", "o_t", "C_t", "h_t"],
    products: { fC_t: ["f_t", "before"], gi_t: ["i_t", "g_t"] },
    newspaper: {
      headings: ["old C × f = fC", "i × g = gi", "new C", "o × tanh C = h"],
      flow: ({ before, f_t, fC_t, gi_t, C_t, h_t }) => ({
        old: before, keep: f_t, kept: fC_t, added: gi_t, article: C_t, headline: h_t,
      }),
      equations: ({ before, f_t, fC_t, i_t, g_t, gi_t, C_t, o_t, h_t }, show) => ({
        old: show(before),
        kept: ` × ${show(f_t)} = ${show(fC_t)}`,
        candidate: `${show(i_t)} × ${show(g_t)} = `,
        added: show(gi_t),
        article: show(C_t),
        headline: `${show(o_t)} × ${show(Math.tanh(C_t))} = ${show(h_t)}`,
      }),
      drawing: ({ f_t, i_t, g_t, o_t }) => ({
        keep: { label: "forget f", value: f_t },
        add: { label: "input i", value: i_t },
        candidate: { label: "candidate g", value: g_t },
        show: { label: "output o", value: o_t },
        words: { old: "article before", kept: "kept fC", added: "written in gi", article: "article C" },
      }),
      drawn: Math.tanh,
      drawnNote: "All are drawn through tanh, as the output gate sees the article.",
      steps: [
        {
          shows: "old",
          title: "Yesterday’s article",
          summary: ({ old }) => `The article as it stood: its ${counted(old.length, "number")} add up to ${number(size(old), 1)}, signs aside.`,
          caption: "The article of every unit as it stood.",
        },
        {
          shows: "kept",
          title: "Strike out",
          summary: ({ old, kept }) => `The forget gate strikes out ${percent(ratio(size(old.map((value, u) => value - kept[u])), size(old)))} of the article.`,
          caption: "What is left of the article; where the forget gate closes, a line strikes it out.",
        },
        {
          shows: "added",
          title: "Write in",
          summary: ({ kept, added }) => `The input gate writes in ${number(size(added), 1)}: ${percent(ratio(size(added), size(kept) + size(added)))} of what makes up the new article.`,
          caption: "The new article; a dot is what is written in, filled if it adds, hollow if it takes away.",
        },
        {
          shows: "headline",
          title: "Today’s headline",
          summary: ({ article, headline }) => `The output gate shows ${percent(ratio(size(headline), size(article.map(Math.tanh))))} of the article as the headline.`,
          caption: "The headline: what the output gate shows of the article.",
        },
      ],
    },
  },

  gru: {
    quantities: {
      r_t: { symbol: "r", name: "reset gate", meaning: "the share of the last headline that the candidate hears", scale: GATE, curve: ["orange-curve", "dashed"] },
      n_t: { symbol: "n", name: "candidate", meaning: "what could be written into the headline", scale: SIGNED, curve: ["orange-curve", "dotted"] },
      z_t: { symbol: "z", name: "update gate", meaning: "the share of the last headline that is kept", scale: GATE, curve: ["ink", "solid"] },
      h_t: { symbol: "h", name: "headline", meaning: "the hidden state: z × the h before + (1 − z) × n", scale: SIGNED, curve: ["blue-curve", "dashed"] },
    },
    plots: [
      { scale: GATE, quantities: ["r_t", "z_t"] },
      { scale: SIGNED, quantities: ["n_t", "h_t"] },
    ],
    carried: "h_t",
    traced: ["r_t", "z_t", "n_t", "h_t"],
    products: {},
    apart: 1,
    newspaper: {
      headings: ["old h × z", "(1 − z) × n", "new h", "headline"],
      flow: ({ before, n_t, z_t, h_t }) => ({
        old: before,
        keep: z_t,
        kept: before.map((value, u) => value * z_t[u]),
        added: n_t.map((value, u) => value * (1 - z_t[u])),
        article: h_t,
        headline: h_t,
      }),
      equations: ({ before, n_t, z_t, h_t }, show) => ({
        old: show(before),
        kept: ` × ${show(z_t)} = ${show(before * z_t)}`,
        candidate: `${show(1 - z_t)} × ${show(n_t)} = `,
        added: show((1 - z_t) * n_t),
        article: show(h_t),
        headline: show(h_t),
      }),
      drawing: ({ r_t, n_t, z_t }) => ({
        keep: { label: "update z", value: z_t },
        add: { label: `1 ${MINUS} z`, value: 1 - z_t },
        candidate: { label: "candidate n", value: n_t },
        recall: { label: "reset r", value: r_t },
        words: { old: "headline before", kept: "kept", added: "written in", article: "headline h", headline: "shown" },
      }),
      drawn: (value) => value,
      drawnNote: "A GRU’s article is its headline: all of it is shown.",
      steps: [
        {
          shows: "old",
          title: "Yesterday’s headline",
          summary: ({ old }) => `The headline as it stood: its ${counted(old.length, "number")} add up to ${number(size(old), 1)}, signs aside. A GRU has no article behind it.`,
          caption: "The headline of every unit as it stood.",
        },
        {
          shows: "kept",
          title: "Strike out",
          summary: ({ old, kept }) => `The update gate strikes out ${percent(ratio(size(old.map((value, u) => value - kept[u])), size(old)))} of the headline.`,
          caption: "What is left of the headline; where the update gate is near 0, a line strikes it out.",
        },
        {
          shows: "added",
          title: "Write in",
          summary: ({ kept, added }) => `As much as it struck out of each unit, the update gate lets in of the candidate: ${percent(ratio(size(added), size(kept) + size(added)))} of what makes up the new headline.`,
          caption: "The new headline; a dot is what is written in, filled if it adds, hollow if it takes away.",
        },
        {
          shows: "headline",
          title: "Today’s headline",
          summary: () => "A GRU has no output gate: all that it remembers is what is read of it.",
          caption: "The headline: the hidden state of every unit.",
        },
      ],
    },
  },

  rnn: {
    quantities: {
      h_t: { symbol: "h", name: "hidden state", meaning: "all that the network remembers", scale: SIGNED, curve: ["blue-curve", "solid"] },
    },
    plots: [{ scale: SIGNED, quantities: ["h_t"] }],
    carried: "h_t",
    traced: ["h_t"],
    products: {},
    newspaper: {
      flow: ({ h_t }) => ({ headline: h_t }),
      drawing: ({ h_t }) => ({ candidate: { label: "tanh", value: h_t }, words: { headline: "state h" } }),
      steps: [
        {
          shows: "headline",
          title: "Today’s headline",
          summary: () => "A plain RNN has no article and no gates: with every character it rewrites all that it remembers, and shows all of it.",
          caption: "The hidden state of every unit.",
        },
      ],
    },
  },
};

// The sum of the values' sizes.
function size(values) {
  return values.reduce((sum, value) => sum + Math.abs(value), 0);
}

function ratio(part, whole) {
  return whole ? part / whole : 0;
}
