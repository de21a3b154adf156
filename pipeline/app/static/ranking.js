/* The best worlds, alive: in the eyes of people, or in the Rewardor's. */
const { say, get, decimal, make, keyed, whileShown, thumbnail, segments, empty, board } = window.alife;
const root = element.querySelector(".ranking");
const grid = root.querySelector(".grid");
let by = "people";
let ranked = 0;
const look = board(root, () => by, () => ranked);

const judges = ["people", "rewardor"].map((judge) => [judge, say(`ranking_${judge}`)]);
root.querySelector(".choice").append(
  segments(say("ranking_by"), judges, by, (judge) => {
    by = judge;
    grid.replaceChildren();
    refresh();
  }),
);

const refresh = whileShown(root, 4000, async () => {
  const ranking = await get(`api/ranking?by=${by}`);
  if (ranking.by !== by) return;
  ranked = ranking.items.length;
  look();
  root.querySelector(".hint").textContent = say(`ranking_hint_${by}`);
  const nothing = empty(say(`ranking_empty_${by}`), say(`ranking_empty_${by}_more`));
  root.querySelector(".nothing").replaceChildren(...(ranking.items.length ? [] : [nothing]));
  const low = Math.min(...ranking.items.map((item) => item.low));
  const high = Math.max(...ranking.items.map((item) => item.high));
  const place = (score) => (100 * (score - low)) / Math.max(high - low, 1e-9);
  const key = (item) => `${ranking.profile}/${item.rollout}`;
  keyed(grid, ranking.items, key, (item) => card(ranking.profile, item), (element, item, number) => {
    element.querySelector(".place").textContent = number + 1;
    const count = element.querySelector(".count");
    count.textContent = item.count ? `${item.count}×` : "";
    count.title = item.count ? say("compared", { n: item.count }) : "";
    const score = element.querySelector(".interval");
    score.title = `${decimal(item.score)}  (${decimal(item.low)} … ${decimal(item.high)})`;
    score.querySelector("i").style.cssText = `left:${place(item.low)}%;right:${100 - place(item.high)}%`;
    score.querySelector("b").style.left = `${place(item.score)}%`;
  });
});

function card(profile, item) {
  return make(
    "figure.world",
    {},
    thumbnail(profile, item),
    make(
      "figcaption",
      {},
      make("span.place"),
      make("span.interval", { role: "img" }, make("i"), make("b")),
      make("span.count"),
    ),
  );
}
