/* Who is here: what this visitor may do, and the owner's card of people and their invitation. */
(() => {
  const { say, get, post, make, keyed, toast, failed } = window.alife;

  /* Labelers are not shown what only the owner may do; the server refuses it anyway. */
  get("api/me")
    .then((me) => (document.documentElement.dataset.visitor = me.owner ? "owner" : "labeler"))
    .catch(() => {});

  /* A card in `place`; returns what brings it up to date. */
  function people(place) {
    place.replaceChildren(make("h3", {}, say("people")), make("div.invite"), make("ul"));
    const act = (path, body) => post(path, body).then(show).catch(failed);

    function show({ shared, link, code, people }) {
      const invite = place.querySelector(".invite");
      if (invite.dataset.link !== `${shared}${link}`) {
        invite.dataset.link = `${shared}${link}`;
        invite.replaceChildren(...(link ? invitation(link, code) : [make("p", {}, say("people_alone")), make("code", {}, "--share")]));
      }
      keyed(place.querySelector("ul"), people, (person) => person.id, card, row);
    }

    function invitation(link, code) {
      const copy = make("button.quiet", { type: "button" }, say("people_copy"));
      copy.addEventListener("click", () => copyText(link, copy));
      const renew = make("button.quiet", { type: "button", title: say("people_renew_what") }, say("people_renew"));
      renew.addEventListener("click", () => act("api/invitation"));
      return [
        make("p", {}, say("people_invite")),
        make("img", { src: code, alt: say("people_code"), width: 168, height: 168 }),
        make("input", { readonly: true, value: link, "aria-label": say("people_link"), onfocus: (event) => event.target.select() }),
        make("div.row", {}, copy, renew),
      ];
    }

    function card() {
      const decide = make("div.row");
      return make("li", {}, make("i"), make("span.who"), make("span.what"), decide);
    }

    function row(item, person) {
      item.dataset.here = person.here;
      item.classList.toggle("excluded", person.excluded);
      item.querySelector(".who").textContent = person.name || say(person.since ? "people_unnamed" : "people_at_home");
      const facts = [say("labels", { n: person.labels })];
      if (person.owner) facts.push(say("people_owner"));
      if (person.excluded) facts.push(say("people_excluded"));
      if (!person.counts) facts.push(say("people_left_out"));
      item.querySelector(".what").textContent = facts.join(" · ");
      const out = person.excluded || !person.counts; /* perhaps decided before a fork or elsewhere, where they joined */
      const decision = out ? "readmit" : person.owner || !person.since ? "none" : "exclude";
      if (item.dataset.decision === decision) return;
      item.dataset.decision = decision;
      item.querySelector(".row").replaceChildren(...(decision === "none" ? [] : [button(decision, person)]));
    }

    function button(decision, person) {
      const made = make("button.quiet", { type: "button" }, say(`people_${decision}`));
      made.addEventListener("click", () => {
        if (decision === "readmit") act("api/people/readmit", { person: person.id });
        else made.closest(".row").replaceChildren(...sure(person));
      });
      return made;
    }

    /* Excluding takes a second click, which also says what becomes of the labels. */
    function sure(person) {
      const choice = (word, labels) =>
        make("button.quiet", { type: "button", onclick: () => act("api/people/exclude", { person: person.id, labels }) }, say(word));
      const no = make("button.quiet", { type: "button" }, say("people_stay"));
      no.addEventListener("click", () => no.closest(".row").replaceChildren(button("exclude", person)));
      return [choice("people_keep_labels", false), choice("people_drop_labels", true), no];
    }

    return async () => {
      if (document.documentElement.dataset.visitor !== "labeler") show(await get("api/people"));
    };
  }

  async function copyText(text, button) {
    try {
      await navigator.clipboard.writeText(text); /* browsers allow it on this computer and on encrypted pages alone */
      toast(say("copied"));
    } catch {
      button.closest(".invite").querySelector("input").focus();
    }
  }

  window.alife.people = people;
})();
