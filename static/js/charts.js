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

function traces(figure) {
  const palette = colours();
  const value = `%{y:${figure.format}}${figure.unit ? ` ${figure.unit}` : ""}`;
  return figure.traces.map((trace, index) => {
    const colour = palette[index % palette.length];
    const common = { name: trace.name, x: trace.x, y: trace.y, hovertemplate: `${value}<extra>${trace.name}</extra>` };
    return figure.bars
      ? { ...common, type: "bar", marker: { color: colour } }
      : { ...common, type: "scatter", mode: trace.x.length < 3 ? "lines+markers" : "lines", line: { color: colour, width: 2 } };
  });
}

// Each line is named at its end; bars of several parts get a legend above.
function names(figure, palette) {
  if (figure.bars || figure.traces.length < 2) return [];
  return figure.traces.map((trace, index) => {
    const last = trace.y.findLastIndex((y) => y !== null);
    return {
      x: trace.x[last], y: trace.y[last], text: trace.name, showarrow: false,
      xanchor: "left", xshift: 6, font: { color: palette[index % palette.length], size: 12 },
    };
  });
}

function layout(figure, width) {
  const ink = token("--ink-2"), rule = token("--rule");
  const labels = names(figure, colours());
  const longest = Math.max(0, ...labels.map((label) => label.text.length));
  return {
    font: { family: token("--font"), size: 12, color: ink },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    margin: { l: 8, r: labels.length ? Math.min(width * 0.3, longest * 7 + 16) : 8, t: 24, b: 8 },
    barmode: figure.stacked ? "relative" : "group", bargap: 0.35,
    xaxis: { type: figure.dates ? "date" : "category", automargin: true, showgrid: false, linecolor: ink, ticks: "outside", tickcolor: rule, nticks: Math.max(3, Math.floor(width / 90)) },
    yaxis: { type: "linear", automargin: true, gridcolor: rule, zerolinecolor: ink, tickformat: figure.format.endsWith("%") ? ".0%" : ",~r", rangemode: figure.bars ? "tozero" : "normal", nticks: 6, title: { text: "" } },
    legend: { orientation: "h", y: 1.12, x: 0 },
    showlegend: figure.bars && figure.traces.length > 1,
    annotations: [
      ...labels,
      ...(figure.unit ? [{ text: figure.unit, xref: "paper", yref: "paper", x: 0, y: 1, yshift: 20, showarrow: false, xanchor: "left", font: { color: token("--ink-3"), size: 12 } }] : []),
    ],
    hovermode: "x unified",
    hoverlabel: { bgcolor: token("--surface"), bordercolor: token("--rule-2"), font: { color: token("--ink"), family: token("--font") } },
  };
}

async function draw(holder) {
  const data = document.getElementById(holder.dataset.chart);
  const plot = holder.querySelector(".chart-plot");
  if (!data || !plot) return;
  const figure = JSON.parse(data.textContent);
  const Plotly = await plotly();
  const options = { displayModeBar: false, responsive: true, locale: "en-GB" };
  await Plotly.react(plot, traces(figure), layout(figure, plot.clientWidth), options);
  holder.dataset.drawn = "yes";
}

const drawAll = () => document.querySelectorAll("[data-chart]").forEach((holder) => draw(holder));
drawAll();
document.body.addEventListener("htmx:load", drawAll);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
