/* The name of the profile that runs. */
const { get, whileShown } = window.alife;

whileShown(element, 3000, async () => {
  element.querySelector(".running").textContent = (await get("api/activity")).profile;
});
