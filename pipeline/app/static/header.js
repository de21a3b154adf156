/* The name of the profile that runs; and the tab that is open, as a part of the address. */
const { get, whileShown } = window.alife;

whileShown(element, 3000, async () => {
  element.querySelector(".running").textContent = (await get("api/activity")).profile;
});

/* Reloading comes back to the tab, a link leads to it, and the browser's Back to the one before. */
const NAME = /^tab-(\w+)-button$/;
const button = (name) => document.getElementById(`tab-${name}-button`);
const chosen = document.querySelector("#tabs [role=tab][aria-selected=true]");
const first = chosen?.id.match(NAME)?.[1] ?? "label";

document.addEventListener("click", (event) => {
  const [, name] = event.target.closest?.("[role=tab]")?.id.match(NAME) ?? [];
  if (name && name !== (location.hash.slice(1) || first)) history.pushState(null, "", `#${name}`);
});

const follow = () => button(location.hash.slice(1) || first)?.click();
addEventListener("popstate", follow);
if (location.hash) requestAnimationFrame(follow);
