// Books the class at 18:00. It knows the password, and logs in each time.
const box = "https://yourbox.aimharder.com";
const login = "https://login.aimharder.com/api/login";
const day = process.argv[2];

const who = { username: "you@example.com", password: process.env.PASSWORD, fingerprint: "my-bot", iniframe: 0 };
const answer = await fetch(login, {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify(who),
});
const cookie = answer.headers.getSetCookie().map((line) => line.split(";")[0]).join("; ");

let told = await (await fetch(`${box}/api/bookings?day=${day}&box=9283&familyId=`, { headers: { cookie } })).json();
const wanted = told.bookings.find((one) => one.time.startsWith("18:00"));
const body = new URLSearchParams({ id: wanted.id, day, insist: 0, familyId: "" });
told = await (await fetch(`${box}/api/book`, { method: "POST", headers: { cookie }, body })).json();
console.log(told.bookState === 1 ? "booked" : told);
