"use strict";
(() => {
  const WORDING = JSON.parse(document.getElementById("wording").textContent);
  const SHOWN_SCORES = 10, SHOWN_ROWS = 200, CHUNK = 64, TRIES = 8;
  const $ = (id) => document.getElementById(id);
  const state = { language: "zh", models: [], limits: {}, answer: null, sent: null, label: null, all: false, rows: [], stop: null };

  const t = (name, values = {}) =>
    Object.entries(values).reduce((text, [key, value]) => text.replace(`{${key}}`, value), WORDING[state.language][name]);
  const make = (tag, text = "", ...classes) => {
    const element = document.createElement(tag);
    element.textContent = text;
    element.className = classes.filter(Boolean).join(" ");
    return element;
  };
  const model = () => state.models.find((one) => one.name === $("model").value);
  const kept = { // storage may be forbidden; the page works without it
    get: (store, key) => { try { return window[store].getItem(key); } catch { return null; } },
    set: (store, key, value) => { try { window[store].setItem(key, value); } catch { /* not kept */ } },
  };
  const wait = (seconds) => new Promise((resolve) => setTimeout(resolve, 1000 * seconds));

  // ---- the server ----

  class Failure extends Error {
    constructor(status, error, after) {
      super([error.message, ...(error.problems || [])].join("\n"));
      this.status = status;
      this.after = after;
    }
  }

  async function call(path, body, signal) {
    const key = $("key").value.trim();
    const headers = { ...(key && { Authorization: `Bearer ${key}` }), ...(body && { "Content-Type": "application/json" }) };
    let response;
    try {
      response = await fetch(path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body), signal });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Failure(0, { message: t("unreachable") });
    }
    const found = await response.json().catch(() => ({ error: { message: `HTTP ${response.status}` } }));
    if (response.ok) return found;
    if (response.status === 401) $("keys").hidden = false;
    throw new Failure(response.status, found.error, Number(response.headers.get("Retry-After")) || 1);
  }

  async function loadModels() {
    try {
      const found = await call("v1/models");
      const before = $("model").value;
      Object.assign(state, found);
      $("model").replaceChildren(...found.models.map((one) => new Option(one.name, one.name)));
      if (found.models.some((one) => one.name === before)) $("model").value = before;
      showModel();
    } catch (error) {
      showState(false, error.status === 401 ? t("key_note") : error.message);
    }
  }

  // ---- one text ----

  function showState(good, text) {
    $("state").className = `state ${good ? "good" : "bad"}`;
    $("state").textContent = text;
  }

  function showModel() {
    const one = model();
    if (!one) return;
    showState(one.ready, `${t(one.ready ? "ready" : "not_ready")} · ${one.kind} · ${one.version}`);
    const points = Object.keys(one.operating_points);
    const before = $("point").value;
    $("point").replaceChildren(...points.map((name) => new Option(name, name)));
    if (points.includes(before)) $("point").value = before;
    $("point").disabled = points.length < 2;
    $("context").disabled = !one.reads_context && !Object.values(one.groups).some((group) => group.contexts);
    $("context").placeholder = $("context").disabled ? t("unread") : contexts(one).slice(0, 6).join("\n");
    $("numeric").replaceChildren(...one.numeric.map(numberField));
    $("explain").disabled = state.limits.explained < 1;
  }

  const contexts = (one) => [...new Set(Object.values(one.groups).flatMap((group) => group.contexts || []))];

  function numberField(name) {
    const field = make("div"), label = make("label", name), input = make("input");
    Object.assign(input, { type: "text", inputMode: "decimal", id: `number-${name}`, name });
    label.htmlFor = input.id;
    field.append(label, input);
    return field;
  }

  const numbers = () => {
    const found = {};
    for (const input of $("numeric").querySelectorAll("input")) {
      const value = Number(input.value);
      found[input.name] = input.value.trim() === "" || Number.isNaN(value) ? null : value;
    }
    return model().numeric.length ? found : null;
  };

  async function classifyOne(event) {
    event.preventDefault();
    const button = $("one").querySelector("button.main");
    if (button.disabled || !model()) return;
    button.disabled = true;
    $("one-alert").textContent = "";
    const one = model(), began = performance.now();
    const row = { text: $("text").value, context: $("context").value.trim() || null, numeric: numbers() };
    const explain = $("explain").checked && state.limits.explained > 0;
    try {
      const found = await call("v1/classify", request([row], { explain, depth: one.depths }));
      const answer = found.results[0];
      if (answer.error) throw new Failure(200, answer.error);
      const shown = answer.labels.length ? answer.labels : Object.keys(answer.explanation || {});
      Object.assign(state, { answer, sent: row, label: shown[0], all: false, took: Math.round(performance.now() - began) });
      showAnswer();
    } catch (error) {
      $("answer").hidden = true;
      $("one-alert").textContent = error.message;
    } finally {
      button.disabled = false;
    }
  }

  const request = (rows, more = {}) => ({ rows, model: model().name, operating_point: $("point").value || null, ...more });

  function showAnswer() {
    const answer = state.answer;
    if (!answer) return;
    $("answer").hidden = false;
    $("none").hidden = answer.labels.length > 0;
    $("none").textContent = t(Object.keys(answer.scores).length ? "none" : "unasked");
    const explained = answer.explanation || {};
    const names = answer.labels.length ? answer.labels : [];
    $("chips").replaceChildren(...names.map((name) => {
      const chip = make("button", name);
      chip.type = "button";
      chip.setAttribute("aria-pressed", String(name === state.label && name in explained));
      chip.addEventListener("click", () => { state.label = name; showAnswer(); $("chips").children[names.indexOf(name)].focus(); });
      return chip;
    }));
    $("review").textContent = answer.unsure && answer.unsure.length ? t("review", { names: answer.unsure.join(", ") }) : "";
    $("why").hidden = !(state.label in explained) || !explained[state.label].length;
    if (!$("why").hidden) showWords(explained[state.label]);
    showScores();
    const depth = answer.depth === undefined ? "" : ` · ${t("depth", { n: answer.depth })}`;
    $("took").textContent = t("took", { ms: state.took }) + depth;
  }

  function showWords(words) {
    const text = [...state.sent.text]; // code points, as the server counts them
    const most = Math.max(...words.map((word) => Math.abs(word.weight)), 0.5);
    const parts = [make("strong", `${state.label}  `)];
    let at = 0;
    for (const word of words) {
      parts.push(text.slice(at, word.start).join(""));
      const span = make("span", word.word, "word", word.weight < 0 && "against");
      span.style.setProperty("--strength", (Math.abs(word.weight) / most).toFixed(3));
      span.title = signed(word.weight);
      parts.push(span);
      at = word.end;
    }
    parts.push(text.slice(at).join(""));
    $("words").replaceChildren(...parts);
    const strongest = [...words].sort((a, b) => Math.abs(b.weight) - Math.abs(a.weight)).filter((word) => Math.abs(word.weight) >= 0.05);
    $("strongest").textContent = strongest.length
      ? t("strongest") + strongest.slice(0, 6).map((word) => `${word.word} ${signed(word.weight)}`).join(" · ") : "";
  }

  const signed = (value) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}`;
  const percent = (value) => `${(100 * value).toFixed(1)}%`;

  function showScores() {
    const { labels, scores } = state.answer;
    const thresholds = model().operating_points[$("point").value] || {};
    const groupOf = {};
    for (const [name, group] of Object.entries(model().groups)) for (const label of group.labels) groupOf[label] = name;
    const order = Object.keys(scores).sort((a, b) => labels.includes(b) - labels.includes(a) || scores[b] - scores[a]);
    const shown = state.all ? order : order.slice(0, Math.max(SHOWN_SCORES, labels.length));
    const parts = [];
    for (const name of shown) {
      const chosen = labels.includes(name) && "chosen";
      const head = make("dt", name, chosen);
      if (groupOf[name] && !name.startsWith(groupOf[name])) head.append(make("span", ` ${groupOf[name]}`, "muted"));
      const bar = make("dd", "", chosen), track = make("div", "", "track"), fill = make("div", "", "fill");
      fill.style.width = percent(scores[name]);
      track.append(fill);
      if (name in thresholds) {
        const mark = make("div", "", "mark");
        mark.style.left = `calc(${percent(thresholds[name])} - 1px)`;
        track.append(mark);
        track.title = `${percent(scores[name])} / ${percent(thresholds[name])}`;
      } else track.title = `${percent(scores[name])} · ${t("group")}`;
      bar.append(track);
      parts.push(head, bar, make("dd", percent(scores[name]), chosen));
    }
    $("scores").replaceChildren(...parts);
    $("more").hidden = order.length <= SHOWN_SCORES;
    $("more").textContent = state.all ? t("less") : t("more", { n: order.length });
    $("more").setAttribute("aria-expanded", String(state.all));
  }

  // ---- a column ----

  /** Rows of what a table puts on the clipboard: tabs between cells, quotes round cells that hold a line break. */
  function pasted(text) {
    const rows = [];
    let cells = [""], quoted = false;
    for (let at = 0; at < text.length; at += 1) {
      const letter = text[at], cell = cells.length - 1;
      if (quoted) {
        if (letter === '"' && text[at + 1] === '"') { cells[cell] += '"'; at += 1; }
        else if (letter === '"') quoted = false;
        else cells[cell] += letter;
      } else if (letter === '"' && cells[cell] === "" && closes(text, at)) quoted = true;
      else if (letter === "\t") cells.push("");
      else if (letter === "\n") { rows.push(cells); cells = [""]; }
      else if (letter !== "\r") cells[cell] += letter;
    }
    rows.push(cells);
    return rows.filter((one) => one[0].trim()).map(([line, context]) => ({ text: line, context: (context || "").trim() || null }));
  }

  /** Whether the quotation mark at a place is a table's: its partner stands at the end of a cell. */
  function closes(text, start) {
    for (let at = start + 1; at < text.length; at += 1) {
      if (text[at] !== '"') continue;
      if (text[at + 1] === '"') { at += 1; continue; }
      return at + 1 === text.length || "\t\r\n".includes(text[at + 1]);
    }
    return false;
  }

  async function classifyMany(event) {
    event.preventDefault();
    if (state.stop || !model()) return;
    const rows = pasted($("lines").value);
    if (!rows.length) return;
    state.stop = new AbortController();
    state.rows = [];
    $("many-alert").textContent = "";
    $("table").replaceChildren();
    working(true);
    const size = Math.min(CHUNK, state.limits.rows || CHUNK);
    try {
      for (let start = 0; start < rows.length; start += size) {
        count(start, rows.length);
        const part = rows.slice(start, start + size);
        const found = await patiently(request(part), state.stop.signal);
        found.results.forEach((answer, place) => addRow({ ...part[place], ...answer }));
      }
      $("many-alert").textContent = "";
      count(rows.length, rows.length);
    } catch (error) {
      if (error.name !== "AbortError") $("many-alert").textContent = error.message;
    } finally {
      state.stop = null;
      working(false);
    }
  }

  async function patiently(body, signal) {
    for (let tried = 1; ; tried += 1) {
      try {
        return await call("v1/classify", body, signal);
      } catch (error) {
        if (![429, 503].includes(error.status) || tried === TRIES) throw error;
        $("many-alert").textContent = t("waiting", { s: error.after });
        await wait(error.after);
        signal.throwIfAborted();
        $("many-alert").textContent = "";
      }
    }
  }

  function working(on) {
    $("many").querySelector("button.main").disabled = on;
    $("stop").hidden = !on;
    $("progress").hidden = false;
    $("region").hidden = !state.rows.length && !on;
    $("download").disabled = on || !state.rows.length;
  }

  function count(done, all) {
    Object.assign($("done"), { max: all, value: done, hidden: done === all });
    $("count").textContent = t("count", { done, all });
  }

  const likeliest = (row) => Math.max(...row.labels.map((name) => row.scores[name]));

  function addRow(row) {
    state.rows.push(row);
    const all = state.rows.length;
    $("shown").textContent = all > SHOWN_ROWS ? t("shown", { n: SHOWN_ROWS, all }) : "";
    if (all > SHOWN_ROWS) return;
    const line = make("tr"), labels = row.error ? t("row_error") : row.labels.join("，") || "—";
    line.append(make("td", String(all), "number"), make("td", row.text), make("td", row.context || ""), make("td", labels));
    line.append(make("td", row.error || !row.labels.length ? "" : percent(likeliest(row)), "number"));
    $("table").append(line);
  }

  /** A cell of a CSV file; one that a spreadsheet would take for a formula begins with an apostrophe. */
  const cell = (value) => {
    const text = value === undefined || value === null ? "" : String(value);
    const safe = typeof value !== "number" && /^[\s]*[=+\-@＝＋－＠\t\r]/.test(text) ? `'${text}` : text;
    return `"${safe.replaceAll('"', '""')}"`;
  };

  function download() {
    const names = model().labels;
    const lines = [["text", "context", "labels", "error", ...names]];
    for (const row of state.rows) {
      const scores = names.map((name) => (row.scores ? row.scores[name] : null));
      lines.push([row.text, row.context, row.labels && row.labels.join("|"), row.error && row.error.message, ...scores]);
    }
    const text = "\ufeff" + lines.map((line) => line.map(cell).join(",")).join("\r\n") + "\r\n";
    const link = make("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
    link.download = `${model().name}.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  // ---- language ----

  function speak(language) {
    state.language = language;
    kept.set("localStorage", "duobiao.language", language);
    document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
    document.title = t("title");
    document.querySelector("h1").textContent = t("title");
    for (const element of document.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t);
    $("language").textContent = language === "zh" ? "English" : "中文";
    $("language").lang = language === "zh" ? "en" : "zh-CN";
    $("text").placeholder = t("text_example");
    $("lines").placeholder = t("lines_example");
    showModel();
    showAnswer();
  }

  $("one").addEventListener("submit", classifyOne);
  $("many").addEventListener("submit", classifyMany);
  for (const [field, form] of [["text", "one"], ["context", "one"], ["lines", "many"]]) {
    $(field).addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $(form).requestSubmit();
    });
  }
  $("model").addEventListener("change", () => { state.answer = null; $("answer").hidden = true; showModel(); });
  $("point").addEventListener("change", () => { if (!$("answer").hidden) $("one").requestSubmit(); });
  $("language").addEventListener("click", () => speak(state.language === "zh" ? "en" : "zh"));
  $("more").addEventListener("click", () => { state.all = !state.all; showScores(); });
  $("stop").addEventListener("click", () => state.stop && state.stop.abort());
  $("download").addEventListener("click", download);
  $("key").value = kept.get("sessionStorage", "duobiao.key") || "";
  $("key").addEventListener("change", () => { kept.set("sessionStorage", "duobiao.key", $("key").value.trim()); loadModels(); });
  speak(kept.get("localStorage", "duobiao.language") || (navigator.language.startsWith("zh") ? "zh" : "en"));
  loadModels();
})();
