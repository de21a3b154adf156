/* Fresh worlds of the Generator, and those that somebody kept. */
const {
  say, get, post, address, decimal, make, keyed, whileShown, thumbnail, keep, kept, segments, empty, failed, translate,
} = window.alife;
const root = element.querySelector(".browse");
const COUNT = 12;
let order = "best";
translate(root);

const orders = ["best", "random"].map((each) => [each, say(`browse_${each}`)]);
root.querySelector(".choice").append(segments(say("browse_order"), orders, order, (each) => (order = each)));
root.querySelector(".primary").addEventListener("click", async () => {
  await post("api/browse", { count: COUNT, order }).then(show, failed);
  refresh();
});

const refresh = whileShown(root, 1000, async () => show(await get("api/browse")));

function show(state) {
  const saved = new Set(state.saved.map((world) => world.rollout));
  const version = state.generator < 1 ? say("browse_prior") : say("browse_version", { n: state.generator });
  const alive = say("browse_alive", { done: state.worlds.length, all: state.wanted });
  const result = state.wanted > 0 && !state.working;
  root.querySelector(".hint").textContent = `${version}${result ? ` · ${alive}` : `. ${say("browse_hint")}`}`;
  root.querySelector(".primary").disabled = state.working;
  const bar = root.querySelector("progress");
  bar.hidden = !state.working;
  bar.value = state.worlds.length / Math.max(state.wanted, 1);
  bar.setAttribute("aria-label", say("browse_working", { done: state.worlds.length, all: state.wanted }));
  const nothing = state.error || (state.worlds.length || state.working ? "" : say("browse_empty_more"));
  root.querySelector(".nothing").replaceChildren(...(nothing ? [empty(say("browse_empty"), nothing)] : []));
  const key = (world) => `${state.profile}/${world.rollout}`;
  const due = state.working ? state.wanted - state.worlds.length : 0;
  const ghosts = Array.from({ length: Math.max(due, 0) }, (_, place) => ({ rollout: place, ghost: true }));
  const make_card = (world) => (world.ghost ? make("figure.world.ghost") : fresh(state.profile, world));
  keyed(root.querySelector(".grid"), [...state.worlds, ...ghosts], key, make_card, (card, world) => {
    if (!world.ghost) kept(card.querySelector(".keep"), saved.has(world.rollout));
  });
  const shelf = root.querySelector(".kept .grid");
  keyed(shelf, state.saved, key, (world) => stored(state.profile, world));
  root.querySelector(".kept .none").hidden = state.saved.length > 0;
}

function fresh(profile, world) {
  const known = world.score !== null;
  const score = make("span.score", { title: known ? say("score") : undefined }, known ? decimal(world.score) : "");
  return make("figure.world", {}, thumbnail(profile, world), make("figcaption", {}, score, keep(world, show)));
}

function stored(profile, world) {
  const link = (kind, word) =>
    make("a.quiet", { href: address(`saved/${profile}/${world.rollout}.${kind}`), download: "" }, say(word));
  const row = make("figcaption", {}, link("mp4", "download_film"), link("json", "download_recipe"));
  return make("figure.world", {}, thumbnail(profile, world), row);
}
