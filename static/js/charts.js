// Draws every [data-chart] with Plotly in one theme read from the page's custom properties.
// The library and its style sheet are fetched only when a page has a chart, after the page is readable.

const here = document.getElementById("charts-script");

function fetchOnce(make) {
  let promise;
  return () => (promise ??= new Promise((resolve, reject) => {
    const element = make();
    element.addEventListener("load", () => resolve(element));
    element.addEventListener("error", () => reject(new Error(`${element.src || element.href} did not load`)));
    document.head.append(element);
  }));
}

const styles = fetchOnce(() => {
  const link = document.createElement("link");
  link.id = "plotly.js-style-global"; // Plotly looks for this id and then writes no style of its own
  link.className = "no-inline-styles";
  link.rel = "stylesheet";
  link.href = here.dataset.styles;
  return link;
});

const library = fetchOnce(() => {
  const script = document.createElement("script");
  script.src = here.dataset.plotly;
  return script;
});

async function plotly() {
  await styles();
  const guard = token("--plotly-guard").replaceAll('"', "");
  if (guard && !document.getElementById(guard)) {
    const mark = document.createElement("meta"); // keeps the bundle from adding the styles of its maps
    mark.id = guard;
    document.head.append(mark);
  }
  await library();
  return window.Plotly;
}

function token(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function colours() {
  return [1, 2, 3, 4, 5, 6].map((n) => {
    const value = token(`--series-${n}`);
    return value.startsWith("var(") ? token("--accent") : value;
  });
}

// A date axis of one or two days would count in milliseconds: those days are categories with their dates as names.
const dayNames = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
const places = (figure) => [...new Set(figure.traces.flatMap((trace) => trace.x))];
const distinct = (figure) => places(figure).length;

const LETTER = 7, LINE = 15; // pixels, about
const WIDEST = 110; // pixels; a few bars do not become walls

// Names that do not fit side by side: the bars lie down and each name stands before its bar.
function crowded(figure, width) {
  const names = places(figure);
  return Math.max(...names.map((name) => String(name).length)) * LETTER + 12 > width / names.length;
}

// A long name before a lying bar is broken at its spaces, so that it leaves the bars more than half of the width.
function folded(name, width) {
  const most = Math.max(14, Math.floor((width * 0.42) / LETTER)), lines = [""];
  for (const word of String(name).split(" ")) {
    const longer = lines.at(-1) ? `${lines.at(-1)} ${word}` : word;
    if (lines.at(-1) && longer.length > most) lines.push(word);
    else lines[lines.length - 1] = longer;
  }
  return lines.map((line) => line.replaceAll("&", "&amp;").replaceAll("<", "&lt;"));
}

function prepared(figure, width) {
  if (figure.curve) return figure;
  if (!figure.dates) {
    if (!figure.bars || !crowded(figure, width)) return figure;
    const names = places(figure).map((name) => folded(name, width));
    return { ...figure, lying: true, names, row: Math.max(28, Math.max(...names.map((lines) => lines.length)) * LINE + 8) };
  }
  if (distinct(figure) > 2) return figure;
  const named = (trace) => ({ ...trace, x: trace.x.map((x) => dayNames.format(new Date(x))) });
  return { ...figure, dates: false, traces: figure.traces.map(named) };
}

function traces(figure) {
  const palette = colours();
  const value = `%{y:${figure.format}}${figure.unit ? ` ${figure.unit}` : ""}`;
  return figure.traces.map((trace, index) => {
    const colour = palette[index % palette.length];
    if (trace.quiet) return { name: trace.name, x: trace.x, y: trace.y, type: "scatter", mode: "lines", hoverinfo: "skip", line: { color: token("--ink-3"), width: 1.5, dash: "dot" } };
    if (figure.curve) return { name: trace.name, x: trace.x, y: trace.y, type: "scatter", mode: "lines", hovertemplate: `${figure.across} %{x:.1%}: ${value}<extra>${trace.name}</extra>`, line: { color: colour, width: 2 } };
    const common = { name: trace.name, x: trace.x, y: trace.y, hovertemplate: `${value}<extra>${trace.name}</extra>` };
    if (figure.lying) return { ...common, type: "bar", orientation: "h", x: trace.y, y: trace.x, hovertemplate: value.replace("%{y", "%{x") + `<extra>${trace.name}</extra>`, marker: { color: colour } };
    return figure.bars
      ? { ...common, type: "bar", marker: { color: colour } }
      : { ...common, type: "scatter", mode: trace.x.length < 3 ? "lines+markers" : "lines", line: { color: colour, width: 2 } };
  });
}

const NARROW = 600; // pixels; below it names beside the lines would leave no room for the lines

// Each line is named at its end, names of lines that end close together set apart; several bars, and lines on a narrow page, get a legend.
function names(figure, palette, width) {
  if (figure.bars || figure.curve || figure.traces.length < 2 || width < NARROW) return [];
  const all = figure.traces.flatMap((trace) => trace.y).filter((y) => y !== null).map(Number);
  const low = Math.min(...all), perUnit = 240 / (Math.max(...all) - low || 1);
  const labels = figure.traces.map((trace, index) => {
    const last = trace.y.findLastIndex((y) => y !== null);
    return {
      x: trace.x[last], y: trace.y[last], text: trace.name, showarrow: false,
      xanchor: "left", xshift: 6, yshift: 0, font: { color: palette[index % palette.length], size: 12 },
    };
  });
  let floor = -Infinity;
  for (const label of labels.toSorted((a, b) => a.y - b.y)) {
    const place = (label.y - low) * perUnit;
    label.yshift = Math.max(0, floor - place);
    floor = place + label.yshift + 15;
  }
  return labels;
}

// Lines with names end at the last point: the names stand in the margin, not on empty months.
function ends(figure) {
  const all = figure.traces.flatMap((trace) => trace.x);
  if (!figure.dates) return [0, new Set(all).size - 1];
  const sorted = all.toSorted();
  return [sorted.at(0), sorted.at(-1)];
}

// From the smallest to the largest value, of bars from zero; parts of a stack are added up.
function span(figure) {
  const ends = {}, values = [];
  for (const trace of figure.traces) {
    trace.y.forEach((y, index) => {
      const end = [trace.x[index], Number(y) < 0];
      ends[end] = (figure.stacked ? ends[end] ?? 0 : 0) + Number(y ?? 0);
      values.push(ends[end]);
    });
  }
  return Math.max(...values, ...(figure.bars ? [0] : [])) - Math.min(...values, ...(figure.bars ? [0] : []));
}

// At most so many ticks; what comes in whole numbers has none in between.
function ticks(figure, most) {
  return figure.whole && span(figure) <= most ? { dtick: 1, tick0: 0 } : { nticks: most };
}

function gap(figure, width) {
  const usual = distinct(figure) < 3 ? 0.7 : 0.35;
  return figure.lying || figure.dates ? usual : Math.max(usual, 1 - (WIDEST * distinct(figure)) / width);
}

// Days as the house writes them, the year below the first of it.
const days = {
  type: "date", hoverformat: "%-d %b %Y",
  tickformatstops: [{ dtickrange: [null, 21 * 864e5], value: "%-d %b\n%Y" }, { dtickrange: ["M1", null], value: "%b %Y" }],
};

function layout(figure, width) {
  const ink = token("--ink-2"), rule = token("--rule");
  const labels = names(figure, colours(), width);
  const named = figure.traces.length > 1 && !labels.length;
  const longest = Math.max(0, ...labels.map((label) => label.text.length));
  const across = { automargin: true, showgrid: false, linecolor: ink, ticks: "outside", tickcolor: rule };
  const measure = { type: "linear", automargin: true, gridcolor: rule, zerolinecolor: ink, tickformat: figure.format.endsWith("%") ? ".0%" : ",~r", rangemode: figure.bars || figure.curve ? "tozero" : "normal", title: { text: "" } };
  const axes = figure.lying
    ? { xaxis: { ...measure, ...ticks(figure, Math.max(3, Math.floor(width / 160))) }, yaxis: { ...across, type: "category", autorange: "reversed", ticks: "", tickmode: "array", tickvals: places(figure), ticktext: figure.names.map((lines) => lines.join("<br>")) } }
    : figure.curve ? { xaxis: { ...measure, range: [0, 1], dtick: 0.2, title: { text: figure.across, font: { size: 12, color: token("--ink-3") } } }, yaxis: { ...measure, nticks: 6 } } : { xaxis: { ...across, ...(labels.length ? { range: ends(figure) } : {}), ...(figure.dates ? days : { type: "category" }), nticks: Math.max(3, Math.floor(width / 90)) }, yaxis: { ...measure, ...ticks(figure, 6) } };
  return {
    ...axes,
    font: { family: token("--font"), size: 12, color: ink },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    margin: { l: 8, r: labels.length ? Math.min(width * 0.3, longest * LETTER + 16) : figure.curve ? 24 : 8, t: 24, b: 8 },
    barmode: figure.stacked ? "relative" : "group", bargap: gap(figure, width),
    legend: {
      orientation: "h", x: 0, y: 1.02, yanchor: "bottom", traceorder: "normal",
      title: { text: figure.unit ? `${figure.unit}  ` : "", side: "left", font: { color: token("--ink-3"), size: 12 } },
    },
    showlegend: named,
    annotations: [
      ...labels,
      ...(figure.unit && !named ? [{ text: figure.unit, xref: "paper", yref: "paper", x: 0, y: 1, yshift: 20, showarrow: false, xanchor: "left", font: { color: token("--ink-3"), size: 12 } }] : []),
    ],
    hovermode: figure.lying || figure.curve ? "closest" : "x unified",
    hoverlabel: { bgcolor: token("--surface"), bordercolor: token("--rule-2"), font: { color: token("--ink"), family: token("--font") } },
  };
}

async function draw(holder) {
  const data = document.getElementById(holder.dataset.chart);
  const plot = holder.querySelector(".chart-plot");
  if (!data || !plot) return;
  const figure = prepared(JSON.parse(data.textContent), plot.clientWidth);
  const legend = plot.clientWidth < NARROW && figure.traces.length > 1 ? figure.traces.length * 18 : 0;
  const usual = figure.curve && plot.clientWidth >= NARROW ? 380 : 300; // a curve is read best when it is not flat
  plot.style.height = `${legend + (figure.lying ? Math.max(200, distinct(figure) * figure.row + 64) : usual)}px`;
  const Plotly = await plotly();
  const options = { displayModeBar: false, responsive: true, locale: "en-GB" };
  await Plotly.react(plot, traces(figure), layout(figure, plot.clientWidth), options);
  holder.dataset.drawn = "yes";
}

const drawAll = () => document.querySelectorAll("[data-chart]").forEach((holder) => draw(holder));
drawAll();
document.body.addEventListener("htmx:load", drawAll);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
