/* What the Train page says of people: how sure the Rewardor may be of them, who they are, and what they are asked. */
(() => {
  const { say, number, percent, make, svg } = window.alife;

  /* Draw a card again only when what it shows has changed: whoever reads or selects is not disturbed. */
  const once = (draw) => (place, facts) => {
    const known = JSON.stringify(facts);
    if (place.dataset.drawn === known) return;
    place.dataset.drawn = known;
    draw(place, facts);
  };

  const head = (key, strong = "") => make("header", {}, make("h3", {}, say(key)), make("strong", {}, strong));
  const sides = (style, kind, label) => {
    const bar = make(`span.${kind}`, { role: "img", "aria-label": label, title: label }, make("i"));
    bar.firstChild.style.cssText = style;
    return bar;
  };

  /* -- how sure it may be ------------------------------------------------------------------------------------------ */

  const [W, H, LEFT, RIGHT, TOP, BOTTOM] = [360, 180, 42, 14, 12, 24];
  const x = (sure) => LEFT + 2 * (W - LEFT - RIGHT) * (sure - 0.5);
  const y = (share) => H - BOTTOM - (H - TOP - BOTTOM) * share;

  /* Across: how sure it was. Up: how often it was right. What is on the line comes true. */
  function diagram(bins) {
    const image = svg("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": say("sureness_what") });
    for (const share of [0, 0.5, 1]) {
      image.append(svg("line", { class: "grid", x1: LEFT, x2: W - RIGHT, y1: y(share), y2: y(share) }));
      image.append(svg("text", { class: "tick", x: LEFT - 6, y: y(share) + 4, "text-anchor": "end" }, percent(share)));
    }
    image.append(svg("line", { class: "guide", x1: x(0.5), y1: y(0.5), x2: x(1), y2: y(1) }));
    for (const [sure, anchor] of [[0.5, "start"], [1, "end"]]) {
      image.append(svg("text", { class: "tick", x: x(sure), y: H - 6, "text-anchor": anchor }, percent(sure)));
    }
    image.append(svg("text", { class: "tick", x: x(0.75), y: H - 6, "text-anchor": "middle" }, say("sureness_axis")));
    const most = Math.max(...bins.map((bin) => bin.answers));
    for (const bin of bins) {
      const place = svg("g", {});
      place.append(svg("title", {}, sentence(bin)));
      place.append(svg("line", { class: "whisker", x1: x(bin.said), x2: x(bin.said), y1: y(bin.low), y2: y(bin.high) }));
      const r = 3 + 5 * Math.sqrt(bin.answers / most);
      place.append(svg("circle", { class: "now", cx: x(bin.said), cy: y(bin.right / bin.answers), r }));
      image.append(place);
    }
    return image;
  }

  const sentence = ({ floor, right, answers }) =>
    say("sureness_bin", { from: number(Math.round(100 * floor)), to: percent(floor + 0.1), right, n: answers });

  /* The last answers, one mark each, the newest on the right: full where it came as expected. As high as it was sure,
     where chances are known to come true. */
  function strip(recent, trusted) {
    const marks = recent.map(({ sure, right }) => {
      const how = trusted ? say("sureness_was", { sure: percent(sure) }) : "";
      const what = say(right ? "sureness_expected" : "sureness_surprise");
      const mark = make(right ? "i" : "i.surprise", { title: how ? `${what}: ${how}` : what });
      mark.style.height = `${trusted ? 25 + 150 * (sure - 0.5) : 62}%`;
      return mark;
    });
    return make("div.recent", { role: "img", "aria-label": say("sureness_recent") }, ...marks);
  }

  const sureness = once((place, { verdict, calibration_error, answers, fewest, bins, recent }) => {
    place.dataset.verdict = verdict;
    const most = bins.reduce((best, bin) => (bin.answers > best.answers ? bin : best), bins[0]);
    const said = verdict === "true" ? sentence(most) : say(`sureness_${verdict}`, { n: answers, fewest });
    const plot = make("div.plot", {}, answers ? diagram(bins) : make("p.none", {}, say("curve_none")));
    place.replaceChildren(
      head("sureness", verdict === "few" ? "–" : `± ${percent(calibration_error)}`),
      make("p", {}, say("sureness_what")),
      plot,
      ...(answers ? [make("p.recently", {}, say("sureness_recent")), strip(recent, verdict === "true")] : []),
      make("p.note", {}, said),
    );
  });

  /* -- who answers ------------------------------------------------------------------------------------------------- */

  const name = ({ labeler, name }, place) => name || (/^[0-9a-f]{16}$/.test(labeler) ? say("panel_person", { n: place + 1 }) : labeler);
  const manner = (words) => (words.length ? words : ["plain"]).map((word) => say(`manner_${word}`)).join(", ");

  function agreement({ asked, foreseen }) {
    if (!asked) return "–";
    const label = say("panel_foreseen", { foreseen, n: asked });
    return sides(`width:${(100 * foreseen) / asked}%`, "share", label);
  }

  function favor({ left, right }) {
    if (!(left + right)) return "–";
    return sides(`left:${(100 * right) / (left + right)}%`, "lean", say("panel_sides", { left, right }));
  }

  const panel = once((place, people) => {
    const title = [head("panel", people.length ? number(people.length) : "–"), make("p", {}, say("panel_what"))];
    if (!people.length) return place.replaceChildren(...title, make("p.none", {}, say("panel_none")));
    if (people.length === 1) {
      const line = [say("contest_answers", { n: people[0].answers }), manner(people[0].manner)].join(" · ");
      const foreseen = people[0].asked ? say("panel_foreseen", { foreseen: people[0].foreseen, n: people[0].asked }) : null;
      return place.replaceChildren(...title, make("p.alone", {}, line), ...(foreseen ? [make("p.note", {}, foreseen)] : []));
    }
    const cell = (kind, ...children) => make(`td.${kind}`, {}, ...children);
    const rows = people.map((person, row) =>
      make(
        "tr",
        { title: person.labeler },
        make("th", { scope: "row" }, name(person, row)),
        cell("answers", number(person.answers)),
        cell("picture", agreement(person)),
        cell("picture", favor(person)),
        cell("manner", manner(person.manner)),
      ),
    );
    const column = (key) => make("th", { scope: "col", title: say(`panel_${key}_what`) }, say(`panel_${key}`));
    const heads = make("tr", {}, make("td"), ...["answers", "expected", "side"].map(column), make("td.manner"));
    const table = make("table", {}, make("thead", {}, heads), make("tbody", {}, ...rows));
    place.replaceChildren(...title, make("div.scroll", {}, table));
  });

  /* -- what is asked ----------------------------------------------------------------------------------------------- */

  /* Shares of a whole, the rules in this order, as one bar with its legend. */
  function shares(counts, order) {
    const kinds = order.filter((kind) => counts[kind]);
    const all = kinds.reduce((sum, kind) => sum + counts[kind], 0);
    const parts = kinds.map((kind) => {
      const part = make(`i.part-${order.indexOf(kind)}`, {});
      part.style.width = `${(100 * counts[kind]) / all}%`;
      return part;
    });
    const legend = kinds.map((kind) =>
      make("li", {}, make(`i.part-${order.indexOf(kind)}`), say(`asked_${kind}`), make("b", {}, percent(counts[kind] / all))),
    );
    return [make("div.shares", { "aria-hidden": "true" }, ...parts), make("ul", {}, ...legend)];
  }

  const asked = once((place, { how, origin }) => {
    const some = Object.keys(how).length > 0;
    place.replaceChildren(
      head("asked"),
      make("p", {}, say("asked_what")),
      ...(some
        ? [...shares(how, ["learn", "duel", "random", "contest", "ready"]), ...shares(origin, ["generator", "browse", "prior"])]
        : [make("p.none", {}, say("curve_none"))]),
    );
  });

  Object.assign(window.alife, { sureness, panel, asked });
})();
