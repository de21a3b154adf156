/* All profiles as cards, and a form for a new one. */
const { say, get, change, film, number, make, keyed, whileShown, living, failed, translate } = window.alife;
const root = element.querySelector(".profiles");
const form = root.querySelector("form");
const create = form.querySelector("button"); /* disabled until there is something to choose from */
const DEFAULTS = { sim: "lenia", generator: "gibbs", rewardor: "common" };
translate(root);

const people = window.alife.people(root.querySelector(".people"));
whileShown(root, 3000, people);
const refresh = whileShown(root, 3000, async () => show(await get("api/profiles")));

function show(state) {
  keyed(root.querySelector(".cards"), state.cards, (card) => card.name, make_card, (element, card) => update(element, card, state.profile));
  for (const [part, names] of Object.entries(state.catalogue)) offer(form.elements[part], names, DEFAULTS[part], state.about[part]);
  create.disabled = create.dataset.busy === "1" || !form.elements.sim.options.length;
}

function offer(select, names, first, about) {
  const tell = () => (select.nextElementSibling.textContent = about[select.value] ?? "");
  select.onchange = tell;
  if ([...select.options].map((option) => option.value).join() === names.join()) return;
  select.replaceChildren(...names.map((name) => make("option", { value: name, selected: name === first }, name)));
  tell();
}

function make_card(card) {
  const open = make("button", { type: "button" });
  open.addEventListener("click", () => run(open, "profiles_opening", "api/open", { name: card.name }));
  return make(
    "article.profile",
    {},
    make("div.cover.world"),
    make("div.facts", {}, make("h3", {}, card.name), make("p.parts"), make("p.numbers"), open),
  );
}

function update(element, card, running) {
  const here = card.name === running;
  element.classList.toggle("running", here);
  const cover = element.querySelector(".cover");
  if (card.cover && cover.dataset.file !== card.cover) {
    cover.dataset.file = card.cover;
    cover.replaceChildren(living(film(card.name, card.cover)));
  }
  const parts = card.parts ? Object.values(card.parts).join(" · ") : `${say("profiles_broken")}: ${card.error}`;
  element.querySelector(".parts").textContent = parts;
  const numbers = card.versions
    ? [
        say("labels", { n: card.labels }),
        `${say("train_rewardor")} ${Math.max(card.versions.rewardor, 0)}`,
        `${say("train_generator")} ${Math.max(card.versions.generator, 0)}`,
      ]
    : [];
  element.querySelector(".numbers").textContent = numbers.join(" · ");
  const button = element.querySelector("button");
  if (button.dataset.busy) return;
  button.disabled = here || !card.parts;
  button.textContent = say(here ? "profiles_running" : "profiles_open");
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const wish = Object.fromEntries(new FormData(form));
  if (await run(create, "profiles_creating", "api/profiles", wish)) form.elements.name.value = "";
});

/* Opening ends one profile and starts another: it takes a moment, and a button that says so. */
async function run(button, word, path, wish) {
  const text = button.textContent;
  button.dataset.busy = "1";
  button.disabled = true;
  button.textContent = say(word);
  let done = true;
  try {
    const state = await change(path, wish);
    document.dispatchEvent(new CustomEvent("alife-profile", { detail: state.profile }));
    show(state);
  } catch (error) {
    done = false;
    failed(error);
  }
  delete button.dataset.busy;
  button.disabled = false;
  button.textContent = text;
  refresh();
  return done;
}
