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
const distinct = (figure) => new Set(figure.traces.flatMap((trace) => trace.x)).size;

// Names that do not fit side by side: the bars lie down and each name stands before its bar.
function crowded(figure, width) {
  const names = [...new Set(figure.traces.flatMap((trace) => trace.x))];
  return Math.max(...names.map((name) => String(name).length)) * 7 + 12 > width / names.length;
}

function prepared(figure, width) {
  if (!figure.dates) return { ...figure, lying: figure.bars && crowded(figure, width) };
  if (distinct(figure) > 2) return figure;
  const named = (trace) => ({ ...trace, x: trace.x.map((x) => dayNames.format(new Date(x))) });
  return { ...figure, dates: false, traces: figure.traces.map(named) };
}

function traces(figure) {
  const palette = colours();
  const value = `%{y:${figure.format}}${figure.unit ? ` ${figure.unit}` : ""}`;
  return figure.traces.map((trace, index) => {
    const colour = palette[index % palette.length];
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
  if (figure.bars || figure.traces.length < 2 || width < NARROW) return [];
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

function layout(figure, width) {
  const ink = token("--ink-2"), rule = token("--rule");
  const labels = names(figure, colours(), width);
  const named = figure.traces.length > 1 && !labels.length;
  const longest = Math.max(0, ...labels.map((label) => label.text.length));
  const across = { automargin: true, showgrid: false, linecolor: ink, ticks: "outside", tickcolor: rule };
  const measure = { type: "linear", automargin: true, gridcolor: rule, zerolinecolor: ink, tickformat: figure.format.endsWith("%") ? ".0%" : ",~r", rangemode: figure.bars ? "tozero" : "normal", nticks: 6, title: { text: "" } };
  const axes = figure.lying
    ? { xaxis: { ...measure, nticks: Math.max(3, Math.floor(width / 160)) }, yaxis: { ...across, type: "category", autorange: "reversed", ticks: "" } }
    : { xaxis: { ...across, ...(labels.length ? { range: ends(figure) } : {}), type: figure.dates ? "date" : "category", nticks: Math.max(3, Math.floor(width / 90)) }, yaxis: measure };
  return {
    ...axes,
    font: { family: token("--font"), size: 12, color: ink },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    margin: { l: 8, r: labels.length ? Math.min(width * 0.3, longest * 7 + 16) : 8, t: 24, b: 8 },
    barmode: figure.stacked ? "relative" : "group", bargap: distinct(figure) < 3 ? 0.7 : 0.35,
    legend: {
      orientation: "h", x: 0, y: 1.02, yanchor: "bottom", traceorder: "normal",
      title: { text: figure.unit ? `${figure.unit}  ` : "", side: "left", font: { color: token("--ink-3"), size: 12 } },
    },
    showlegend: named,
    annotations: [
      ...labels,
      ...(figure.unit && !named ? [{ text: figure.unit, xref: "paper", yref: "paper", x: 0, y: 1, yshift: 20, showarrow: false, xanchor: "left", font: { color: token("--ink-3"), size: 12 } }] : []),
    ],
    hovermode: figure.lying ? "closest" : "x unified",
    hoverlabel: { bgcolor: token("--surface"), bordercolor: token("--rule-2"), font: { color: token("--ink"), family: token("--font") } },
  };
}

async function draw(holder) {
  const data = document.getElementById(holder.dataset.chart);
  const plot = holder.querySelector(".chart-plot");
  if (!data || !plot) return;
  const figure = prepared(JSON.parse(data.textContent), plot.clientWidth);
  if (figure.lying) plot.style.height = `${Math.max(300, distinct(figure) * 24 + 64)}px`;
  else if (plot.clientWidth < NARROW && figure.traces.length > 1) plot.style.height = `${300 + figure.traces.length * 18}px`;
  const Plotly = await plotly();
  const options = { displayModeBar: false, responsive: true, locale: "en-GB" };
  await Plotly.react(plot, traces(figure), layout(figure, plot.clientWidth), options);
  holder.dataset.drawn = "yes";
}

const drawAll = () => document.querySelectorAll("[data-chart]").forEach((holder) => draw(holder));
drawAll();
document.body.addEventListener("htmx:load", drawAll);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
