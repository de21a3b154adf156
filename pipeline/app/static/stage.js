/* The label stage. The next pair waits here, decoded; an answer swaps at once and travels afterwards. The pair that
   follows is asked for then, and comes as soon as the Rewardor has learned that answer: while people look at one pair,
   the next one is chosen by all that they said before. An older one stays in reserve, for fast hands and bad lines. */
const { say, number, get, post, shown, whileShown, toast, strip, contested, Pair, Outbox } = window.alife;
const stage = element.querySelector(".stage");
const find = (selector) => stage.querySelector(selector);
window.alife.translate(stage);

const AHEAD = 2; /* pairs that wait, decoded: the next one, and the reserve */
const RETRY_MS = 400; /* between two questions for pairs */
const GUARD_MS = 250; /* nobody has looked at a pair for less */
const DRIFT_S = 0.15; /* between the two films, before they are set right */

let profile = "";
let votes = 0;
let receipts = 0; // of answers and undos: what was asked before the last one is out of date
let current = null;
let offline = false;
let blocked = ""; /* why answers wait here */
let activity = null;
let wantsPause = false;
const queue = [];
const screens = { left: find(".left .screen"), right: find(".right .screen") };

/* -- pairs ------------------------------------------------------------------------------------------------------ */

/* The newest first: it was chosen with the best knowledge. One that was on the stage before comes back to it. */
function enqueue(assignment, seen = false) {
  const pair = new Pair({ ...assignment, profile, seen }, screens);
  queue.unshift(pair);
  pair.ready.then(advance, () => {
    const place = queue.indexOf(pair);
    if (place < 0) return;
    queue.splice(place, 1);
    pair.release();
    notice(say("film_broken"));
    refill();
  });
  return pair;
}

/* Show the next pair if there is none on the stage. */
function advance() {
  const next = queue.find((pair) => pair.seen) ?? queue.find((pair) => pair.isReady);
  if (!current && next?.isReady) {
    current = next;
    queue.splice(queue.indexOf(next), 1);
    current.seen = true;
    current.show();
    pause(false);
    stage.dataset.state = "pair";
    stage.dataset.pair = current.token.slice(-12);
  }
  if (!current) prepare();
  remember();
  if (queue.length < AHEAD) refill();
}

/* A reload of the page goes on with the pairs that it had. */
function remember() {
  if (!profile) return;
  const held = [current, ...queue].filter(Boolean);
  const pairs = held.map(({ token, left, right }) => ({ token, left, right }));
  sessionStorage.setItem("alife.pairs", JSON.stringify({ profile, pairs }));
}

function recall() {
  try {
    return JSON.parse(sessionStorage.getItem("alife.pairs") ?? "null");
  } catch {
    return null;
  }
}

let asking = false;
let askedAt = -Infinity;
let patience = RETRY_MS; /* an answer is being learned: of interest to whoever has another pair meanwhile */

async function refill() {
  const want = AHEAD + 1 - queue.length - (current ? 1 : 0);
  const pause = current && queue.length ? patience : RETRY_MS;
  if (!profile || asking || want < 1 || performance.now() - askedAt < pause) return;
  asking = true;
  askedAt = performance.now();
  try {
    const held = [current, ...queue].filter(Boolean).map((pair) => pair.token);
    const answer = await post("api/pairs", { want, have: held });
    back();
    meet(answer.profile);
    for (const assignment of answer.pairs) enqueue(assignment);
    patience = Math.max(RETRY_MS, 1000 * answer.after);
    if (answer.pairs.length < want) setTimeout(refill, patience);
  } catch (error) {
    if (error.status === 0) lost();
  }
  asking = false;
}

/* The server runs a profile; what was loaded for another one goes. */
function meet(name) {
  if (name === profile) return;
  const stale = profile !== "";
  profile = stage.dataset.profile = name;
  if (stale) {
    for (const pair of [current, ...queue].filter(Boolean)) pair.release();
    queue.length = 0;
    current = null;
    activity = null;
    prepare();
  } else {
    const kept = recall(); /* this page was loaded again */
    if (kept?.profile === name) {
      const sent = new Set(outbox.waiting(name).map((each) => each.token));
      const left = kept.pairs.filter((assignment) => !sent.has(assignment.token));
      left.reverse().forEach((assignment, place) => enqueue(assignment, place === left.length - 1));
    }
  }
}

/* The pairs that wait are not those that are asked for now. */
function discard() {
  for (const pair of queue.splice(0)) pair.release();
  refill();
}

/* -- answers ---------------------------------------------------------------------------------------------------- */

function answer(choice) {
  if (!current || performance.now() - current.since < GUARD_MS) return;
  const pair = current;
  const given = {
    profile,
    token: pair.token,
    answer: choice,
    response_ms: Math.round(performance.now() - pair.since),
    replays: pair.replays,
    at: Date.now(),
  };
  outbox.keep(given);
  current = null;
  pair.hide();
  flash(choice);
  advance();
  /* what the eye does not wait for */
  setTimeout(() => {
    votes += 1;
    count();
    pair.release();
    send();
  });
}

const outbox = new Outbox({
  sent(receipt) {
    back();
    block("");
    receipts += 1;
    votes = receipt.votes + outbox.waiting(profile).length;
    count();
  },
  refused: (why) => toast(say("refused", { why }), true),
  waits: block,
  lost,
  runs: meet,
});
const send = () => outbox.send(profile);

function block(why) {
  blocked = why;
  const waiting = outbox.waiting(profile).length;
  if (why && waiting) notice(`${say("waiting", { n: waiting })}: ${why}`, true);
  else if (!why && find(".notice").dataset.bad) notice("");
}

let undoing = false;

async function undo() {
  if (undoing) return;
  undoing = true;
  await takeBack().finally(() => (undoing = false));
}

async function takeBack() {
  send(); /* the answer to take back may not have left yet */
  await outbox.settled();
  if (outbox.waiting(profile).length) return toast(say("undo_waits"), true);
  try {
    const receipt = await post("api/undo");
    back();
    receipts += 1;
    votes = receipt.votes;
    count();
    if (!receipt.again) return toast(say("undo_nothing"));
    const pair = enqueue(receipt.again, true);
    await pair.ready;
    if (current) {
      current.hide();
      queue.splice(queue.indexOf(pair) + 1, 0, current);
      current = null;
    }
    notice(say("undone"));
    advance();
  } catch (error) {
    if (error.status === 0) lost();
    toast(error.status === 0 ? say("undo_waits") : say("failed", { why: error.message }), true);
  }
}

/* -- what is said ----------------------------------------------------------------------------------------------- */

function count() {
  find(".count b").textContent = number(votes);
  find(".count span").textContent = say("labels_word", { n: votes });
  if (blocked) block(blocked);
}

let quiet = 0;

function notice(text, bad = false) {
  const line = find(".notice");
  line.textContent = text;
  if (bad) line.dataset.bad = "1";
  else delete line.dataset.bad;
  clearTimeout(quiet);
  if (text && !bad) quiet = setTimeout(() => (line.textContent = ""), 4000);
}

function lost() {
  if (!offline) notice(say("offline"), true);
  offline = true;
  stage.dataset.offline = "1";
  if (!current) prepare();
}

function back() {
  if (!offline) return;
  offline = false;
  delete stage.dataset.offline;
  notice("");
  send();
}

/* Why there is no pair, and how far the next one is. */
function prepare() {
  stage.dataset.state = "preparing";
  stage.dataset.pair = "";
  let title = say("preparing");
  let more = say("preparing_wait");
  let share = null;
  if (offline) [title, more] = [say("offline"), ""];
  else if (activity?.ray === "starting" || activity?.ray === "lost") title = say("preparing_ray");
  else if (activity?.worlds < activity?.target && activity.votes === 0) {
    title = say("preparing_first");
    more = say("preparing_worlds", { done: activity.worlds, all: activity.target });
    share = activity.worlds / activity.target;
  } else if (activity?.filming) more = say("preparing_films", { n: activity.filming });
  const veil = find(".veil");
  veil.querySelector("strong").textContent = title;
  veil.querySelector("p").textContent = more;
  const bar = veil.querySelector("progress");
  bar.hidden = share === null;
  if (share !== null) bar.value = share;
}

function flash(choice) {
  const sides = { left: [".left"], right: [".right"], tie: [".left", ".right"] }[choice] ?? [];
  for (const side of sides) {
    const button = find(side);
    button.classList.remove("chosen");
    void button.offsetWidth; /* starts the animation again */
    button.classList.add("chosen");
  }
}

function live(now) {
  const before = activity;
  activity = now;
  strip(find(".strip"), now);
  if (before && before.profile === now.profile && contested(now) !== contested(before)) discard();
  for (const role of ["rewardor", "generator"]) {
    const organ = find(`.organ[data-role=${role}]`);
    const version = now[role];
    const state = now[`${role}_state`];
    const parts = [version < 1 ? say(`live_${role}_none`) : say("version", { n: version })];
    if (role === "rewardor" && now.waiting > 0) parts.push(say("live_waiting", { n: now.waiting }));
    if (state !== "idle" && state !== "off") parts.push(say(`state_${state}`));
    organ.dataset.state = state;
    organ.dataset.version = version;
    organ.querySelector("span").textContent = parts.join(" · ");
    if (before && before.profile === now.profile && version > before[role]) {
      organ.classList.remove("grown");
      void organ.offsetWidth;
      organ.classList.add("grown");
      notice(say(`news_${role}`, { n: version }));
    }
  }
  const worlds = find(".organ[data-role=worlds]");
  worlds.dataset.state = now.rolling + now.filming > 0 ? "working" : "idle";
  const rolling = now.rolling > 0 ? ` · ${say("live_rolling", { n: now.rolling })}` : "";
  worlds.querySelector("span").textContent = say("live_worlds", { n: now.worlds }) + rolling;
}

/* -- hands ------------------------------------------------------------------------------------------------------ */

function pause(yes = !wantsPause) {
  wantsPause = yes;
  const button = find("[data-act=pause]");
  button.setAttribute("aria-pressed", yes);
  button.textContent = yes ? "▶" : "❚❚";
  button.setAttribute("aria-label", say(yes ? "play" : "pause"));
  if (!current) return;
  current[yes ? "pause" : "play"]();
}

function replay() {
  if (!current) return;
  current.replays += 1;
  pause(false);
  current.rewind();
}

const ACTS = { undo, pause: () => pause(), replay };
const KEYS = {
  ArrowLeft: () => answer("left"),
  ArrowRight: () => answer("right"),
  ArrowUp: () => answer("tie"),
  ArrowDown: () => answer("neither"),
  s: () => answer("skip"),
  z: undo,
  Backspace: undo,
  " ": () => pause(),
  r: replay,
};
const TYPING = "input, textarea, select, [contenteditable], [role=tab], [role=listbox], [role=slider], dialog";

function key(event) {
  if (!element.isConnected) return document.removeEventListener("keydown", key);
  const act = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!act || event.repeat || event.ctrlKey || event.metaKey || event.altKey || !shown(stage)) return;
  if (event.target.closest?.(TYPING) || document.querySelector("dialog[open]")) return;
  if (event.key === " " && event.target.closest?.("button")) return; /* it presses the button */
  event.preventDefault();
  act();
}

document.addEventListener("keydown", key);
document.addEventListener("alife-profile", (event) => meet(event.detail));
/* whoever has just clicked the tab wants to answer, not to walk along the tabs */
document.addEventListener("click", (event) => {
  if (event.target.closest?.("[role=tab]")) setTimeout(() => shown(stage) && stage.focus({ preventScroll: true }), 60);
});
stage.addEventListener("click", (event) => {
  /* after a mouse, Space pauses; whoever walks along the buttons by keyboard goes on from there */
  if (event.detail) stage.focus({ preventScroll: true });
  const button = event.target.closest("button");
  if (button?.dataset.answer) answer(button.dataset.answer);
  else if (button?.dataset.act) ACTS[button.dataset.act]();
});

let touch = null; // of a single finger: two look closer
const begin = ({ touches }) => (touch = touches.length === 1 ? touches[0] : null);
find(".films").addEventListener("touchstart", begin, { passive: true });
find(".films").addEventListener(
  "touchend",
  (event) => {
    if (!touch) return;
    const end = event.changedTouches[0];
    const [dx, dy] = [end.clientX - touch.clientX, end.clientY - touch.clientY];
    if (Math.abs(dx) < 60 || Math.abs(dx) < 2 * Math.abs(dy)) return;
    event.preventDefault(); /* a swipe is no tap */
    answer(dx < 0 ? "left" : "right");
  },
  { passive: false },
);

/* -- time ------------------------------------------------------------------------------------------------------- */

function frame() {
  if (!element.isConnected) return;
  if (current && shown(stage)) {
    const { left, right } = current.videos;
    if (left.duration) find(".clock i").style.transform = `scaleX(${left.currentTime / left.duration})`;
    const apart = Math.abs(left.currentTime - right.currentTime);
    if (apart > DRIFT_S && apart < left.duration - DRIFT_S && !left.paused) right.currentTime = left.currentTime;
  }
  requestAnimationFrame(frame);
}

requestAnimationFrame(frame);
new IntersectionObserver(() => current && !wantsPause && shown(stage) && current.play()).observe(stage);
document.addEventListener("visibilitychange", () => {
  if (current && !wantsPause && shown(stage)) current.play();
});

whileShown(stage, 1500, async () => {
  try {
    const before = receipts;
    const now = await get("api/activity");
    back();
    live(now);
    meet(now.profile);
    if (before === receipts) votes = now.votes + outbox.waiting(profile).length;
    count();
  } catch (error) {
    lost();
    throw error;
  }
  if (outbox.waiting(profile).length) send();
});
whileShown(stage, 700, async () => {
  if (!current) prepare();
  advance();
});
