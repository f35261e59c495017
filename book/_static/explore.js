// The page "One unit to play with": sliders, four small figures, and the measures of equations eq-jne and eq-share.
// Plain JavaScript, no other file, no network. All that is drawn is in data attributes of #explore, for tests.
"use strict";
(() => {
  const N_STIMULI = 400, SPARE = [-1.75, -1.25, -0.75, -0.25, 0.25, 0.75, 1.25, 1.75], PENALTY = 2;
  const SPREAD = 1; // of the thresholds of several units, in standard deviations of the feature
  const TANGENTS = 9, REACH = 0.55, THRESHOLDS = 49;
  const root = document.getElementById("explore");
  const sum = (values) => {
    let total = 0;
    for (const value of values) total += value;
    return total;
  };
  const mean = (values) => sum(values) / values.length;
  const deviation = (values) => {
    const middle = mean(values);
    return Math.sqrt(mean(values.map((value) => (value - middle) ** 2))); // divisor N
  };

  // Stimuli are evenly spaced quantiles of a standard normal feature: no luck of the draw in what is shown.
  function quantiles(n) {
    const step = 1e-3, found = [];
    for (let x = -5, below = 0; found.length < n; x += step) {
      const here = step * Math.exp(-((x + step / 2) ** 2) / 2) / Math.sqrt(2 * Math.PI);
      for (let at; found.length < n && (at = (found.length + 0.5) / n) <= below + here;) {
        found.push(x + step * (at - below) / here);
      }
      below += here;
    }
    return found;
  }

  // Normal noise of mean 0 and standard deviation 1 from a seed (mulberry32, Box and Muller).
  function normal(n, seed) {
    const uniform = () => {
      seed = (seed + 0x6d2b79f5) | 0;
      let t = Math.imul(seed ^ (seed >>> 15), seed | 1);
      t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
    const drawn = Array.from({ length: n }, () =>
      Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()));
    const middle = mean(drawn), sd = deviation(drawn);
    return drawn.map((value) => (value - middle) / sd);
  }

  const X = quantiles(N_STIMULI);
  let seed = 1, noise = normal(N_STIMULI, seed);

  // The response: `units` rectified units, thresholds around the chosen one, equal parts of the slope.
  const response = ({ threshold, slope, units }) => ({
    kinks: Array.from({ length: units }, (_, k) => threshold + SPREAD * ((k + 0.5) / units - 0.5)),
    weights: Array(units).fill(slope / units),
    offset: 0,
  });
  const active = (model, x) => model.kinks.map((kink, k) => (x > kink ? model.weights[k] : 0));
  const slopeAt = (model, x) => sum(active(model, x));
  const value = (model, x) => model.offset + sum(active(model, x).map((weight, k) => weight * (x - model.kinks[k])));

  // Least squares: offset, the units of the response, and spare ones that it does not have, which alone are penalised.
  function fit(kinks, Y) {
    const all = [...kinks, ...SPARE], size = all.length + 1;
    const columns = [X.map(() => 1), ...all.map((kink) => X.map((x) => Math.max(x - kink, 0))), Y];
    const rows = Array.from({ length: size }, () => new Float64Array(size + 1));
    for (let i = 0; i < size; i++) {
      for (let j = 0; j < i; j++) rows[i][j] = rows[j][i];
      for (let j = i; j <= size; j++) for (let n = 0; n < X.length; n++) rows[i][j] += columns[i][n] * columns[j][n];
      rows[i][i] += i > kinks.length ? PENALTY : 1e-9; // of a unit that is never active, no weight
    }
    for (let i = 0; i < size; i++) {
      const best = rows.reduce((best, row, k) => (k >= i && Math.abs(row[i]) > Math.abs(rows[best][i]) ? k : best), i);
      [rows[i], rows[best]] = [rows[best], rows[i]];
      for (let k = i + 1; k < size; k++) {
        const factor = rows[k][i] / rows[i][i];
        for (let j = i; j <= size; j++) rows[k][j] -= factor * rows[i][j];
      }
    }
    const solved = Array(size).fill(0);
    for (let i = size - 1; i >= 0; i--) {
      let rest = rows[i][size];
      for (let j = i + 1; j < size; j++) rest -= rows[i][j] * solved[j];
      solved[i] = rest / rows[i][i];
    }
    return { kinks: all, weights: solved.slice(1), offset: solved[0] };
  }

  // As `jne.nonlinearity` for one voxel and one feature: the variance of the feature cancels in the share.
  function measures(slopes) {
    const middle = mean(slopes), half = deviation(slopes) ** 2 / 2;
    const share = half / (half + middle ** 2);
    return { jne: deviation(slopes.map((slope) => Math.abs(slope - middle))), share };
  }

  function study(settings) {
    const truth = response(settings), clean = X.map((x) => value(truth, x)), sd = deviation(clean);
    const Y = clean.map((y, n) => y + settings.noise * sd * noise[n]);
    const model = settings.noise > 0 ? fit(truth.kinks, Y) : truth; // which least squares finds then
    const slopes = X.map((x) => slopeAt(model, x));
    return { truth, model, Y, slopes, fitted: measures(slopes), planted: measures(X.map((x) => slopeAt(truth, x))) };
  }

  // Figures -----------------------------------------------------------------------------------------------------------
  const shape = (name, attributes, text) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, content] of Object.entries(attributes)) node.setAttribute(key, content);
    if (text !== undefined) node.textContent = text;
    return node;
  };

  // Axes in the width that the page has, so that letters keep their size; returns functions that draw in data units.
  function axes(svg, [x0, x1], [y0, y1], xlabel, ylabel) {
    const width = Math.max(svg.parentNode.clientWidth, 200), height = 240;
    const left = 52, right = width - 10, top = 12, bottom = height - 46;
    const x = (at) => left + (right - left) * (at - x0) / (x1 - x0);
    const y = (at) => bottom - (bottom - top) * (at - y0) / (y1 - y0);
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.setAttribute("height", height);
    svg.replaceChildren();
    const add = (name, attributes, text) => svg.appendChild(shape(name, attributes, text));
    const ticks = (from, to) => {
      const raw = (to - from) / 4, power = 10 ** Math.floor(Math.log10(raw));
      const step = power * [1, 2, 5, 10].find((factor) => factor * power >= raw * 0.999);
      const first = Math.ceil(from / step - 1e-9);
      return Array.from({ length: Math.floor(to / step + 1e-9) - first + 1 }, (_, k) => ({
        at: (first + k) * step, text: String(+((first + k) * step).toFixed(6)).replace("-", "\u2212"),
      }));
    };
    add("path", { class: "axis", d: `M${left} ${top}V${bottom}H${right}` });
    for (const { at, text } of ticks(x0, x1)) {
      add("path", { class: "axis", d: `M${x(at)} ${bottom}v5` });
      add("text", { x: x(at), y: bottom + 19, "text-anchor": "middle" }, text);
    }
    for (const { at, text } of ticks(y0, y1)) {
      add("path", { class: "axis", d: `M${left} ${y(at)}h-5` });
      add("text", { x: left - 8, y: y(at) + 4, "text-anchor": "end" }, text);
    }
    add("text", { x: (left + right) / 2, y: height - 8, "text-anchor": "middle" }, xlabel);
    const turned = `translate(14 ${(top + bottom) / 2}) rotate(-90)`;
    add("text", { transform: turned, "text-anchor": "middle" }, ylabel);
    return {
      line: (kind, points) => add("path", { class: kind, d: "M" + points.map(([a, b]) => `${x(a)} ${y(b)}`).join("L") }),
      bars: (kind, all) => add("path", { class: kind, d: all.map(([a, b, c]) => `M${x(a)} ${y(b)}V${y(c)}`).join("") }),
      dots: (kind, points) => add("path", { class: kind, d: points.map(([a, b]) => `M${x(a)} ${y(b)}h0`).join("") }),
    };
  }

  const range = (from, to, n) => Array.from({ length: n }, (_, k) => from + (to - from) * k / (n - 1));
  const around = (least, most, values) =>
    [Math.min(least, Math.floor(Math.min(...values))), Math.max(most, Math.ceil(Math.max(...values)))];

  function drawResponse(found) {
    const all = range(-3, 3, 301), curve = all.map((x) => value(found.model, x));
    const limits = around(-1, 3, [...found.Y, ...curve]);
    const draw = axes(svgs.response, [-3, 3], limits, "stimulus x (SD of the feature)", "response (a.u.)");
    draw.dots("faint", X.map((x, n) => [x, found.Y[n]]));
    draw.line("truth", all.map((x) => [x, value(found.truth, x)]));
    draw.line("curve", all.map((x, n) => [x, curve[n]]));
    const [width, height] = [6, limits[1] - limits[0]]; // tangents of about the same length on the page
    for (const n of shown) {
      const slope = found.slopes[n], half = REACH / Math.hypot(1, 1.6 * slope * width / height);
      const y = value(found.model, X[n]);
      draw.line("tangent", [[X[n] - half, y - slope * half], [X[n] + half, y + slope * half]]);
    }
    draw.dots("mark", shown.map((n) => [X[n], value(found.model, X[n])]));
  }

  function drawSlopes(found) {
    const middle = mean(found.slopes), limits = around(-1, 2, found.slopes);
    const draw = axes(svgs.slopes, [-3, 3], limits, "stimulus x (SD of the feature)", "slope J (a.u. per SD)");
    draw.line("mean", [[-3, middle], [3, middle]]);
    draw.bars("bar", shown.map((n) => [X[n], middle, found.slopes[n]]));
    draw.dots("cloud", X.map((x, n) => [x, found.slopes[n]]));
    draw.dots("mark", shown.map((n) => [X[n], found.slopes[n]]));
  }

  function drawMeasure(key, settings, found, label, least) {
    const { min, max } = sliders.threshold, every = range(+min, +max, THRESHOLDS);
    const values = sweep(settings, every).map((study) => [study.fitted[key], study.planted[key]]);
    const most = Math.max(least, Math.ceil(Math.max(...values.flat(), found.fitted[key]) * 10) / 10);
    const draw = axes(svgs[key], [+min, +max], [0, most], "threshold (SD of the feature)", label);
    draw.line("truth", every.map((threshold, n) => [threshold, values[n][1]]));
    draw.line("curve", every.map((threshold, n) => [threshold, values[n][0]]));
    draw.dots("here", [[settings.threshold, found.fitted[key]]]);
  }

  // Both measures over all thresholds; kept as long as only the threshold moves.
  let kept = { key: "" };
  function sweep(settings, every) {
    const key = [settings.slope, settings.units, settings.noise, seed].join();
    if (kept.key !== key) kept = { key, all: every.map((threshold) => study({ ...settings, threshold })) };
    return kept.all;
  }

  // The page ----------------------------------------------------------------------------------------------------------
  const names = ["threshold", "slope", "noise", "units"];
  const sliders = Object.fromEntries(names.map((name) => [name, document.getElementById(`explore-${name}`)]));
  const svgs = Object.fromEntries(["response", "slopes", "jne", "share"].map((name) =>
    [name, root.querySelector(`svg[data-figure=${name}]`)]));
  const shown = range(0.03, 0.97, TANGENTS).map((share) => Math.round(share * (N_STIMULI - 1)));
  const three = (number) => (Math.abs(number) < 0.0005 ? "0.000" : number.toFixed(Math.abs(number) < 0.0995 ? 4 : 3));
  const write = (name, text) => (document.getElementById(`explore-${name}`).textContent = text);
  const settled = () => Object.fromEntries(names.map((name) => [name, Number(sliders[name].value)]));

  let waiting = 0;
  function update() {
    const settings = settled(), found = study(settings);
    const above = mean(X.map((x) => (x > settings.threshold ? 1 : 0)));
    for (const name of names) write(`${name}-value`, sliders[name].value.replace("-", "\u2212"));
    write("jne", three(found.fitted.jne));
    write("share", three(found.fitted.share));
    write("jne-planted", three(found.planted.jne));
    write("share-planted", three(found.planted.share));
    write("active", above.toFixed(4));
    write("ceiling", (1 / (1 + settings.noise ** 2)).toFixed(2));
    const { model } = found;
    Object.assign(root.dataset, { ...settings, active: above, jne: found.fitted.jne, share: found.fitted.share });
    Object.assign(root.dataset, { offset: model.offset, penalty: PENALTY });
    for (const [name, list] of Object.entries({
      responses: found.Y, kinks: model.kinks, weights: model.weights, own: found.truth.kinks,
    })) root.dataset[name] = JSON.stringify(list);
    drawResponse(found);
    drawSlopes(found);
    cancelAnimationFrame(waiting); // a fit for each threshold: once a frame, however fast a slider moves
    waiting = requestAnimationFrame(() => {
      drawMeasure("jne", settings, found, "JNE (a.u. per SD)", 0.3);
      drawMeasure("share", settings, found, "nonlinear share", 1);
    });
  }

  root.dataset.stimuli = JSON.stringify(X);
  for (const slider of Object.values(sliders)) slider.addEventListener("input", update);
  document.getElementById("explore-again").addEventListener("click", () => {
    noise = normal(N_STIMULI, ++seed);
    update();
  });
  document.getElementById("explore-reset").addEventListener("click", () => {
    for (const slider of Object.values(sliders)) slider.value = slider.defaultValue;
    update();
  });
  root.classList.add("ready");
  let width = root.clientWidth;
  new ResizeObserver(() => {
    if (width !== root.clientWidth) update();
    width = root.clientWidth;
  }).observe(root);
  update();
})();
