// /openapi.json to read: each address, what it takes and what it answers.

const at = (id) => document.getElementById(id);

function made(tag, text) {
  const element = document.createElement(tag);
  element.textContent = text;
  return element;
}

function codes(words) {
  const line = document.createElement("p");
  words.forEach((word, index) => line.append(index ? ", " : "", made("code", word)));
  return line;
}

function section(method, path, one) {
  const box = document.createElement("section");
  const title = document.createElement("h2");
  title.append(made("code", `${method.toUpperCase()} ${path}`));
  box.append(title, made("p", one.summary));
  if (one.description) box.append(made("p", one.description));
  if (one.requestBody) {
    const takes = codes(Object.keys(one.requestBody.content));
    takes.prepend("Takes ");
    box.append(takes);
  }
  const answers = codes(Object.keys(one.responses));
  answers.prepend("Answers ");
  box.append(answers);
  return box;
}

try {
  const said = await (await fetch("/openapi.json")).json();
  at("about").textContent = said.info.description;
  at("example").textContent = `curl -F image=@photograph.jpg '${location.origin}/predict?threshold=0.5'`;
  for (const [path, methods] of Object.entries(said.paths)) {
    for (const [method, one] of Object.entries(methods)) {
      if (method !== "parameters") at("docs").append(section(method, path, one));
    }
  }
  document.documentElement.dataset.ready = "";
} catch {
  at("trouble").textContent = "The server does not answer.";
  at("trouble").hidden = false;
}
