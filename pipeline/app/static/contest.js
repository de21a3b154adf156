/* A contest: a few worlds, compared until the best of them or their order is established. */
(() => {
  const { say, get, post, make, keyed, number, percent, thumbnail, failed } = window.alife;

  const ODDS = 20; /* to one: what establishes something */

  /* How strong the evidence is: a bar that is full at twenty to one. */
  function meter(odds) {
    const share = Math.log(odds) / Math.log(ODDS);
    const words = say("contest_odds", { odds: Math.floor(odds) });
    const bar = make("progress", { max: 1, value: share, "aria-label": say("contest_evidence") });
    return make("div.meter", { title: say("contest_evidence") }, bar, make("span", {}, words));
  }

  function progress({ established, answers, to_go }) {
    const given = say("contest_answers", { n: answers });
    if (established) return say("contest_sure", { given });
    return `${given} · ${to_go === null ? say("contest_to_go_long") : say("contest_to_go", { n: to_go })}`;
  }

  const title = (now) => say(`contest_${now.goal}${now.established ? "_done" : ""}`, { n: now.worlds });

  /* -- on the Label page: what is asked, how far it is; or that everything is interesting by now ------------------- */

  let drawn = "";

  function strip(element, { contest, duel, interest }) {
    const text = JSON.stringify([contest, duel, interest.enough]);
    if (text === drawn) return;
    drawn = text;
    element.hidden = !(contest || duel || interest.enough);
    if (contest) element.replaceChildren(make("b", {}, title(contest)), meter(contest.odds), make("span", {}, progress(contest)));
    else if (duel) element.replaceChildren(make("b", {}, duelTitle(duel)), ...duelScore(duel));
    else if (interest.enough) element.replaceChildren(make("b", {}, say("interest_enough")), make("span", {}, say("interest_stop")));
  }

  /* Which pairs are asked for now: when this changes, those that wait are out of date. */
  const contested = ({ contest, duel }) =>
    contest && !contest.established ? contest.id : duel && !duel.verdict ? duel.id : "";

  /* -- on the Ranking page ---------------------------------------------------------------------------------------- */

  const CONTESTS = [["order", 4], ["best", 8]];

  function board(root, by, ranked) {
    const place = root.querySelector(".contest");
    const act = async (path, body) => {
      try {
        show(await post(path, body));
      } catch (error) {
        failed(error);
      }
    };
    const button = (kind, text, onclick, more = {}) => make(`button.${kind}`, { type: "button", onclick, ...more }, text);

    function show({ profile, contest, worlds }) {
      place.classList.toggle("running", contest !== null);
      if (!contest) return place.replaceChildren(...CONTESTS.map(([goal, count]) => offer(goal, count)));
      if (!place.querySelector(".worlds")) place.replaceChildren(make("header"), make("div.worlds"), make("footer"));
      place.dataset.established = contest.established;
      place.querySelector("header").replaceChildren(make("h3", {}, title(contest)), make("p", {}, progress(contest)));
      keyed(place.querySelector(".worlds"), worlds, (world) => `${profile}/${world.rollout}`, (world) => card(profile, world), (figure, world, at) =>
        settle(figure, world, at, contest),
      );
      const end = button("quiet", say(contest.established ? "contest_close" : "contest_end"), () => act("api/contest/end"));
      const label = button("primary", say("contest_go"), () => document.querySelector("#tab-label-button")?.click());
      place.querySelector("footer").replaceChildren(meter(contest.odds), ...(contest.established ? [] : [label]), end);
    }

    const offer = (goal, count) =>
      button("quiet", say(`contest_offer_${goal}`, { n: count }), () => act("api/contest", { goal, count, by: by() }), {
        disabled: ranked() < count,
        title: ranked() < count ? say("contest_few", { n: count }) : undefined,
      });

    return async () => show(await get("api/contest"));
  }

  function card(profile, world) {
    return make("figure.world", {}, thumbnail(profile, world), make("figcaption", {}, make("span.place"), make("span.settled"), make("progress", { max: 1, "aria-label": say("contest_evidence") })));
  }

  /* Only what is established is said plainly; what is open is a guess. */
  function settle(figure, world, at, { goal, established }) {
    figure.dataset.settled = world.settled;
    const out = goal === "best" && at > 0;
    figure.querySelector(".place").textContent = out ? "" : number(at + 1);
    const word = world.settled ? (out ? "contest_out" : "contest_settled") : "contest_open";
    figure.querySelector(".settled").textContent = say(word);
    figure.querySelector("progress").value = Math.log(world.odds) / Math.log(ODDS);
    figure.querySelector("figcaption").title = say("contest_odds", { odds: Math.floor(world.odds) });
    figure.classList.toggle("first", goal === "best" && at === 0 && established);
  }

  /* -- on the Train page: whether all is interesting by now ------------------------------------------------------- */

  function interest(place, { among, interesting, low, high, enough }, { fresh, bar }) {
    const share = among ? percent(interesting / among) : "–";
    const span = make("i");
    span.style.cssText = `left:${100 * low}%;right:${100 - 100 * high}%`;
    const mark = make("u", { title: say("interest_bar", { bar: percent(bar) }) });
    mark.style.left = `${100 * bar}%`;
    const point = make("b");
    point.style.left = `${among ? (100 * interesting) / among : 50}%`;
    const label = `${share} (${percent(low)} … ${percent(high)})`;
    place.dataset.enough = enough;
    place.replaceChildren(
      make("header", {}, make("h3", {}, say(enough ? "interest_enough" : "interest")), make("strong", {}, share)),
      make("p", {}, among ? say("interest_what", { interesting, n: among, fresh }) : say("interest_none")),
      make("div.interval", { role: "img", "aria-label": label, title: label }, span, mark, ...(among ? [point] : [])),
      make("p.note", {}, enough ? say("interest_stop") : say("interest_bar", { bar: percent(bar) })),
    );
  }

  /* -- on the Train page: whether the newest worlds beat earlier ones ---------------------------------------------- */

  const duelTitle = ({ verdict, version, rival }) => say(`duel_${verdict || "open"}`, { version, rival });

  /* Who labels sees no score before the end: it would tell which side is which. */
  const duelScore = (duel) =>
    duel.verdict ? [meter(duel.odds), make("span", {}, duelProgress(duel))] : [make("span", {}, say("duel_left", { n: duel.open }))];

  const duelProgress = ({ verdict, won, lost, equal, open }) =>
    [say("duel_score", { won, lost, equal }), ...(verdict ? [] : [say("duel_left", { n: open })])].join(" · ");

  function duel(place, now, rival) {
    const known = JSON.stringify([now, rival]);
    if (place.dataset.drawn === known) return;
    place.dataset.drawn = known;
    place.dataset.verdict = now?.verdict ?? "";
    const act = (path) => post(path).catch(failed);
    const button = (kind, text, onclick, more = {}) => make(`button.${kind}`, { type: "button", onclick, ...more }, text);
    if (!now) {
      const offer = button("quiet", rival === null ? say("duel_early") : say("duel_offer", { rival }), () => act("api/duel"), { disabled: rival === null });
      return place.replaceChildren(make("header", {}, make("h3", {}, say("duel"))), make("p", {}, say("duel_what")), offer);
    }
    const go = button("primary", say("contest_go"), () => document.querySelector("#tab-label-button")?.click());
    const end = button("quiet", say(now.verdict ? "contest_close" : "contest_end"), () => act("api/duel/end"));
    place.replaceChildren(
      make("header", {}, make("h3", {}, duelTitle(now))),
      make("p", {}, now.odds === undefined ? say("duel_left", { n: now.open }) : duelProgress(now)),
      make("footer", {}, ...(now.odds === undefined ? [] : [meter(now.odds)]), ...(now.verdict ? [] : [go]), end),
    );
  }

  Object.assign(window.alife, { strip, contested, board, interest, duel });
})();
