/* How both models do: what they are at, their curves, and what happened. */
const { say, get, post, lang, percent, decimal, number, make, keyed, whileShown, failed, translate, svg, interest, duel, sureness, panel, asked } = window.alife;
const root = element.querySelector(".train");
translate(root);

const CURVES = [
  { key: "held_out_accuracy", form: percent, from: 0.5, to: 1, guide: 0.5 },
  { key: "new_score", form: decimal },
  { key: "diversity", form: decimal, from: 0, guide: 1 },
  { key: "dead_share", form: percent, from: 0, to: 1 },
];

const refresh = whileShown(root, 2000, async () => {
  const now = await get("api/train");
  keyed(root.querySelector(".models"), ["rewardor", "generator"], (role) => role, model, (card, role) => update(card, role, now));
  keyed(root.querySelector(".curves"), CURVES, ({ key }) => key, frame, (card, curve) => draw(card, curve, now.curves[curve.key]));
  interest(root.querySelector(".interest"), now.interest, now.interest_goal);
  duel(root.querySelector(".duel"), now.duel, now.rival);
  sureness(root.querySelector(".sureness"), now.sureness);
  panel(root.querySelector(".panel"), now.panel);
  asked(root.querySelector(".asked"), now.asked);
  const problems = root.querySelector(".problems");
  problems.hidden = now.problems.length === 0;
  problems.querySelector("ul").replaceChildren(...now.problems.map((text) => make("li", {}, text)));
  list(now.events);
});

/* -- models ------------------------------------------------------------------------------------------------------ */

function model(role) {
  const button = make("button", { type: "button" });
  button.addEventListener("click", async () => {
    button.disabled = true;
    await post("api/train", { role, run: button.dataset.run === "1" }).catch(failed);
    button.disabled = false;
    refresh();
  });
  const what = make("p", {}, say(`train_${role}_what`));
  const title = make("div", {}, make("h3", {}, say(`train_${role}`)), what);
  const state = make("p.state", {}, make("i"), make("span"));
  return make(`article.model.${role}`, {}, title, make("strong"), state, button);
}

function update(card, role, now) {
  const state = now[`${role}_state`];
  const paused = state === "paused";
  card.dataset.state = state;
  card.querySelector("strong").textContent = now[role] < 1 ? "–" : number(now[role]);
  const waiting = role === "rewardor" && now.waiting > 0 ? ` · ${say("live_waiting", { n: now.waiting })}` : "";
  card.querySelector(".state span").textContent = say(`state_${state}`) + waiting;
  const button = card.querySelector("button");
  button.textContent = say(paused ? "train_start" : "train_pause");
  button.dataset.run = paused ? "1" : "0";
  button.hidden = state === "off";
}

/* -- curves ------------------------------------------------------------------------------------------------------ */

const [W, H, LEFT, RIGHT, TOP, BOTTOM] = [360, 170, 42, 12, 12, 24];

function frame({ key }) {
  const head = make("header", {}, make("h3", {}, say(`curve_${key}`)), make("strong"));
  return make("article.curve", {}, head, make("p", {}, say(`curve_${key}_what`)), make("div.plot"));
}

function draw(card, { key, form, from, to, guide }, points) {
  const plot = card.querySelector(".plot");
  const last = points.at(-1);
  card.querySelector("strong").textContent = last ? form(last[1]) : "–";
  if (plot.dataset.drawn === JSON.stringify(points)) return;
  plot.dataset.drawn = JSON.stringify(points);
  if (!last) return plot.replaceChildren(make("p.none", {}, say("curve_none")));

  const values = points.map(([, y]) => y);
  let low = Math.min(from ?? Infinity, ...values);
  let high = Math.max(to ?? -Infinity, guide ?? -Infinity, ...values);
  if (high - low < 1e-6) [low, high] = [low - 0.5, high + 0.5];
  const end = Math.max(last[0], 1);
  const x = (value) => LEFT + ((W - LEFT - RIGHT) * value) / end;
  const y = (value) => H - BOTTOM - ((H - TOP - BOTTOM) * (value - low)) / (high - low);

  const label = `${say(`curve_${key}`)}: ${form(last[1])}`;
  const image = svg("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": label });
  for (const value of [low, (low + high) / 2, high]) {
    image.append(svg("line", { class: "grid", x1: LEFT, x2: W - RIGHT, y1: y(value), y2: y(value) }));
    image.append(svg("text", { class: "tick", x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, form(value)));
  }
  for (const value of [0, end]) {
    const anchor = value === 0 ? "start" : "end";
    const text = value === 0 ? "0" : `${number(value)} ${say("axis_labels")}`;
    image.append(svg("text", { class: "tick", x: x(value), y: H - 6, "text-anchor": anchor }, text));
  }
  if (guide !== undefined && guide > low) {
    image.append(svg("line", { class: "guide", x1: LEFT, x2: W - RIGHT, y1: y(guide), y2: y(guide) }));
  }
  const path = points.map(([a, b], place) => `${place ? "L" : "M"}${x(a).toFixed(1)} ${y(b).toFixed(1)}`).join("");
  if (points.length > 1) {
    const area = `${path}L${x(last[0])} ${H - BOTTOM}L${x(points[0][0])} ${H - BOTTOM}Z`;
    image.append(svg("path", { class: "area", d: area }), svg("path", { class: "line", d: path }));
  }
  if (points.length < 30) {
    for (const [a, b] of points) image.append(svg("circle", { class: "dot", cx: x(a), cy: y(b), r: 2.5 }));
  }
  image.append(svg("circle", { class: "now", cx: x(last[0]), cy: y(last[1]), r: 4.5 }));
  plot.replaceChildren(image, ...(points.length === 1 ? [make("p.none", {}, say("curve_few"))] : []));
}

/* -- events ------------------------------------------------------------------------------------------------------ */

const clock = new Intl.DateTimeFormat(lang, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat(lang, { day: "numeric", month: "short" });

function list(events) {
  const place = root.querySelector(".events ol");
  if (!events.length) return place.replaceChildren(make("li.none", { "data-key": "none" }, say("events_none")));
  const key = (event) => `${event.time}-${event.role}`;
  keyed(place, events, key, (event) => {
    const when = new Date(event.time * 1000);
    const today = when.toDateString() === new Date().toDateString();
    const time = make("time", { datetime: when.toISOString() }, (today ? clock : day).format(when));
    return make(event.kind ? `li.${event.role}.${event.kind}` : `li.${event.role}`, {}, make("i"), time, make("span", {}, sentence(event)));
  });
}

function sentence(event) {
  if (event.kind === "settings") return say("events_settings");
  if (event.text !== undefined) return event.text;
  const text = say(`event_${event.role}`, { n: event.labels, version: event.version });
  if (event.value === null) return text;
  const [word, form] = event.role === "rewardor" ? ["event_foresees", percent] : ["event_score", decimal];
  return `${text}: ${say(word, { value: form(event.value) })}`;
}
