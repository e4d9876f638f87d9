// Draws the page's charts again where there is JavaScript: by Vega, from the specifications that the server drew its
// pictures from, so that values can be pointed at, zoomed into and teachers left out. A chart is drawn when it comes
// near the screen; until then, and where anything fails, the server's picture stays.

const script = document.getElementById("charts-script");
const views = new Map(); // figure → Vega's result
const drawn = new Map(); // figure → the specification it was drawn from, as text
const heights = new Map(); // figure → the height of the server's picture, so that nothing moves when it is replaced
const logged = new Set(); // names of the charts with a logarithmic axis
const hidden = new Set(); // arms that are left out
let specifications = null;
let vega = null;

const near = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) if (isIntersecting) draw(target);
}, { rootMargin: "200px" });

const sizes = new ResizeObserver((entries) => {
  for (const { target, contentRect } of entries) {
    const figure = target.closest("figure");
    const view = figure && views.get(figure)?.view;
    if (view && contentRect.width > 0) view.width(Math.min(contentRect.width, widest(figure))).runAsync();
  }
});

function specificationsOf(figure) {
  specifications ??= fetch(figure.closest("[data-charts]").dataset.charts).then((answer) => answer.json());
  return specifications;
}

function load() {
  vega ??= import(script.dataset.vega).then(() => window.vegaEmbed);
  return vega;
}

async function draw(figure) {
  try {
    const [embed, all] = await Promise.all([load(), specificationsOf(figure)]);
    const name = figure.dataset.chart;
    const text = JSON.stringify(all[name]);
    if (!all[name] || (drawn.get(figure) === text && views.has(figure))) return;
    drawn.set(figure, text);
    await embedIn(figure, embed, text, true);
  } catch (error) {
    console.warn(`A chart stays as the server drew it: ${error}`);
  }
}

// `keep`: whether what was zoomed into stays.
async function embedIn(figure, embed, text, keep) {
  const place = figure.querySelector(":scope > .drawn") ?? placeIn(figure);
  place.setAttribute("aria-label", figure.querySelector(":scope > svg.chart").getAttribute("aria-label"));
  if (!figure.clientWidth) return;
  const specification = JSON.parse(text);
  specification.width = Math.min(figure.clientWidth, widest(figure));
  if (!heights.has(figure)) heights.set(figure, figure.querySelector(":scope > svg.chart").clientHeight);
  specification.height = Math.max(heights.get(figure), 0.75 * specification.height);
  if (logged.has(figure.dataset.chart)) makeLogarithmic(specification, figure.dataset.log);
  const canvas = own("div", "canvas");
  canvas.setAttribute("aria-hidden", "true"); // its place has the name
  const result = await embed(canvas, specification, {
    ast: true, actions: false, renderer: "svg", defaultStyle: false, tooltip: point, hover: false,
  });
  const before = views.get(figure);
  const signals = keep && before ? before.view.getState({ signals: isZoom, data: () => false }).signals : {};
  for (const [name, range] of Object.entries(signals)) if (typeof range?.[0] === "number") result.view.signal(name, range);
  result.view.signal("hidden", [...hidden]).runAsync();
  before?.finalize();
  views.set(figure, result);
  place.replaceChildren(canvas);
  sizes.observe(place);
}

// Vega keeps the ranges that were zoomed into, among others, as signals that are named after the fields of the axes.
function isZoom(name) {
  return name.startsWith("zoom_");
}

// As the style sheet limits the server's picture.
function widest(figure) {
  return parseFloat(getComputedStyle(figure.querySelector(":scope > svg.chart")).maxWidth) || Infinity;
}

function placeIn(figure) {
  const picture = figure.querySelector(":scope > svg.chart");
  const place = own("div", "drawn");
  place.setAttribute("role", "img");
  picture.before(place);
  const tools = own("p", "tools");
  if (figure.dataset.log) {
    tools.append(button("Logarithmic", logged.has(figure.dataset.chart), (pressed) => {
      logged[pressed ? "add" : "delete"](figure.dataset.chart);
      redraw(figure);
    }));
  }
  if ("zooms" in figure.dataset) {
    const reset = button("Whole range", null, () => redraw(figure));
    reset.title = "Drag to move; Ctrl and the wheel to zoom";
    tools.append(reset);
  }
  if (tools.children.length) picture.after(tools);
  return place;
}

async function redraw(figure) {
  embedIn(figure, await load(), drawn.get(figure), false);
}

function makeLogarithmic(specification, axis) {
  for (const layer of specification.layer) {
    const channel = layer.encoding?.[axis];
    if (channel?.type === "quantitative") {
      channel.scale = { ...channel.scale, type: "log", zero: undefined };
      delete channel.axis?.values;
    }
  }
}

// A button that is pressed or not, or (pressed null) one that only acts.
function button(words, pressed, act) {
  const made = own("button", "");
  made.type = "button";
  made.append(words);
  if (pressed !== null) made.setAttribute("aria-pressed", pressed);
  made.addEventListener("click", () => {
    const now = made.getAttribute("aria-pressed") === "false";
    if (pressed !== null) made.setAttribute("aria-pressed", now);
    act(now);
  });
  return made;
}

function own(tag, className) {
  const made = document.createElement(tag);
  made.className = className;
  made.setAttribute("data-own", "");
  return made;
}

// Legends become switches, the same in every chart of the page.
function makeSwitches() {
  for (const legend of document.querySelectorAll("ul.legend.arms")) {
    const arms = [...legend.querySelectorAll("li[data-arm]")];
    const wanted = JSON.stringify(arms.map((each) => each.dataset.arm));
    let group = legend.nextElementSibling;
    if (group?.matches(".switches")) {
      if (group.dataset.arms === wanted) continue;
      group.remove();
    }
    group = own("div", "legend switches");
    group.dataset.arms = wanted;
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", "Teachers shown");
    for (const each of arms) {
      const arm = each.dataset.arm;
      const made = button("", !hidden.has(arm), (pressed) => show(arm, pressed));
      made.dataset.arm = arm;
      made.append(...[...each.childNodes].map((node) => node.cloneNode(true)));
      group.append(made);
    }
    legend.after(group);
  }
}

function show(arm, pressed) {
  hidden[pressed ? "delete" : "add"](arm);
  for (const made of document.querySelectorAll(".switches button")) {
    made.setAttribute("aria-pressed", !hidden.has(made.dataset.arm));
  }
  for (const { view } of views.values()) view.signal("hidden", [...hidden]).runAsync();
}

let tip = null;
function point(_handler, event, _item, value) {
  tip ??= document.body.appendChild(own("div", "tip"));
  tip.hidden = !value;
  if (!value) return;
  tip.replaceChildren(...Object.entries(value).filter(([, each]) => each !== "").map(([title, each]) => {
    const line = document.createElement("p");
    const name = document.createElement("span");
    name.textContent = title;
    line.append(name, ` ${each}`);
    return line;
  }));
  const { clientX, clientY } = event;
  const left = Math.min(clientX + 14, window.innerWidth - tip.offsetWidth - 8);
  const top = clientY + 16 + tip.offsetHeight > window.innerHeight ? clientY - tip.offsetHeight - 10 : clientY + 16;
  tip.style.left = `${Math.max(4, left)}px`;
  tip.style.top = `${top}px`;
}

function begin() {
  makeSwitches();
  for (const figure of document.querySelectorAll("figure[data-chart]")) near.observe(figure);
}

// After the page has changed, charts that are drawn are drawn anew where their data did, and new ones are watched.
document.getElementById("live")?.addEventListener("dpk:changed", () => {
  specifications = null;
  for (const [figure, result] of [...views]) {
    if (figure.isConnected) {
      draw(figure);
    } else {
      result.finalize();
      views.delete(figure);
      drawn.delete(figure);
    }
  }
  begin();
});

begin();
