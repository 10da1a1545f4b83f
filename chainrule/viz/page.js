// The page: lays the graph out with dagre each time a module is folded or unfolded, draws it as SVG, and answers the pointer.
"use strict"

const { direction, nodes, parents, edges, readable, most } = JSON.parse(document.getElementById("data").textContent)
const $ = id => document.getElementById(id)
const picture = $("picture"), view = $("view")
const SVG = "http://www.w3.org/2000/svg"
const PAD = 13, LETTER = 0.602, SIZE = 13, SMALL = 11, GAP = 9, LINE = 15, ONE = 28

const unfolded = new Set()  // the modules whose inside is shown
let scale = 1, left = 0, top_ = 0  // what the view's transform is made of
let placed = new Map()  // node or module shown -> its rectangle
let extent = { width: 1, height: 1 }
let picked = null, hits = [], current = -1

const isModule = n => nodes[n].kind === "module"
const modules = nodes.map((_, n) => n).filter(isModule)
const around = n => { const chain = []; for (let p = parents[n]; p !== null; p = parents[p]) chain.push(p); return chain }
const depth = n => around(n).length

// What stands for node n in the picture: itself, or the outermost folded module around it.
function shown(n) {
  return around(n).reduce((found, module) => unfolded.has(module) ? found : module, n)
}

function visible() {
  return new Set(nodes.map((_, n) => n).filter(n => !isModule(n)).map(shown))
}

// The edges, level by level: those of the whole (null) and of each unfolded module. An edge that enters or leaves a module goes
// through a port on its frame, named for the node where the edge starts; so each module is laid out by itself, and is then one box
// to the module around it.
function levels() {
  const found = new Map()
  const add = (level, from, to, start, text) => {
    if (!found.has(level)) found.set(level, new Map())
    const key = `${from} ${to} ${start}`, all = found.get(level)
    if (!all.has(key)) all.set(key, { from, to, start, texts: new Set() })
    all.get(key).texts.add(text)
  }
  for (const [a, b, text] of edges) {
    const start = shown(a), end = shown(b)
    if (start === end) continue
    const up = [...around(start).reverse(), start], down = [...around(end).reverse(), end]
    let common = 0
    while (up[common] === down[common]) common++
    for (let i = up.length - 1; i > common; i--) add(up[i - 1], up[i], "out", start, "")
    add(common ? up[common - 1] : null, up[common], down[common], start, text)
    for (let i = common + 1; i < down.length; i++) add(down[i - 1], "in", down[i], start, "")
  }
  return found
}

// Lay out what is in one level, modules in it first. Positions run along the flow (y) and across it (x), from the frame's corner;
// `turn` changes them for a picture that flows to the right.
function arrange(level, children, edgesOf) {
  const inner = new Map(), rectangles = new Map()
  const graph = new dagre.Graph({ multigraph: true })
  graph.setGraph({ nodesep: 24, edgesep: 16, ranksep: 32 })
  const here = children.get(level) ?? [], links = [...(edgesOf.get(level)?.values() ?? [])]
  for (const n of here) {
    if (unfolded.has(n)) inner.set(n, arrange(n, children, edgesOf))
    const [width, height] = inner.has(n) ? [inner.get(n).width, inner.get(n).height] : turn([nodes[n].width, nodes[n].height])
    graph.setNode(String(n), { width, height })
  }
  const sources = new Set(here), sinks = new Set(here), ports = new Set()
  for (const link of links) {
    link.label = link.texts.size === 1 ? [...link.texts][0] : ""
    link.tail = link.from === "in" ? `in ${link.start}` : String(link.from)
    link.head = link.to === "out" ? `out ${link.start}` : String(link.to)
    for (const [name, port] of [[link.tail, link.from === "in"], [link.head, link.to === "out"]]) {
      if (port) { ports.add(name); graph.setNode(name, { width: 2, height: 2 }) }
    }
    sources.delete(link.to)
    sinks.delete(link.from)
    const [width, height] = turn([link.label.length * LETTER * SMALL + 8, 14])
    graph.setEdge(link.tail, link.head, link.label ? { width, height, labelpos: "c" } : {}, String(link.start))
  }
  if (ports.size) {  // ports come before and after all else
    for (const end of ["first", "last"]) graph.setNode(end, { width: 1, height: 1 })
    for (const port of ports) {
      if (port.startsWith("in")) graph.setEdge("first", port, { weight: 50 }, "-")
      else graph.setEdge(port, "last", { weight: 50 }, "-")
    }
    for (const n of sources) graph.setEdge("first", String(n), { weight: 0, minlen: 2 }, "-")
    for (const n of sinks) graph.setEdge(String(n), "last", { weight: 0, minlen: 2 }, "-")
  }
  dagre.layout(graph)

  const bands = new Map()  // the middle of each layer -> half of its extent: there, lines run straight
  const widen = (y, half) => bands.set(Math.round(y), Math.max(half, bands.get(Math.round(y)) ?? 0))
  let low = Infinity, high = -Infinity, first = Infinity, last = -Infinity
  const reach = (x, half) => { low = Math.min(low, x - half); high = Math.max(high, x + half) }
  for (const n of here) {
    const { x, y, width, height } = graph.node(String(n))
    rectangles.set(n, { x, y, width, height })
    widen(y, height / 2 + 9)  // and a little before and after, for arrow heads
    reach(x, width / 2)
    first = Math.min(first, y - height / 2)
    last = Math.max(last, y + height / 2)
  }
  for (const link of links) {
    const edge = graph.edge(link.tail, link.head, String(link.start))
    link.points = edge.points.slice(1, -1)
    if (link.label) { link.at = [edge.x, edge.y]; widen(edge.y, edge.height / 2); reach(edge.x, edge.width / 2) }
    link.points.forEach(({ x }) => reach(x, 4))
  }
  for (const port of ports) reach(graph.node(port).x, 6)
  const room = level === null ? { before: 0, after: 0, left: 0, right: 0 } : direction === "right"
    ? { before: 26, after: 26, left: 26, right: PAD } : { before: 38, after: 24, left: PAD, right: PAD }
  if (level !== null) high = Math.max(high, low + (direction === "right" ? 0 : Math.min(nodes[level].title.length, 24) * LETTER * SMALL + 6))
  const width = high - low + room.left + room.right, height = last - first + room.before + room.after
  const dx = room.left - low, dy = room.before - first
  const end = (n, at, next, link) => {  // where a line meets what it starts or ends at
    const side = at === "tail" ? 1 : -1
    if (typeof n === "string") return [graph.node(link[at]).x + dx, n === "in" ? 0 : height]
    const { x, y, width, height: h } = rectangles.get(n)
    const port = inner.get(n)?.ports.get(`${at === "tail" ? "out" : "in"} ${link.start}`)
    if (port !== undefined) return [x - width / 2 + port + dx, y + side * h / 2 + dy]
    return [Math.max(x - width / 2 + 12, Math.min(x + width / 2 - 12, next)) + dx, y + side * h / 2 + dy]
  }
  const inside = y => Math.max(level === null ? -Infinity : room.before - 16, Math.min(level === null ? Infinity : height - 8, y))
  const lines = links.map(link => {
    const bends = link.points.length > 1 || link.label ? link.points : []  // to the next layer it can go directly
    const middle = bends.flatMap(({ x, y }) => {
      const half = bands.get(Math.round(y)) ?? 0
      return half ? [[x + dx, y - half + dy], [x + dx, y + half + dy]] : [[x + dx, inside(y + dy)]]
    })
    const far = n => typeof n === "string" ? graph.node(n === "in" ? link.tail : link.head) : rectangles.get(n)
    const start = end(link.from, "tail", link.points[0]?.x ?? far(link.to).x, link)
    const stop = end(link.to, "head", link.points.at(-1)?.x ?? far(link.from).x, link)
    const clear = (n, [x, y], side) => {  // out of the layer of what it starts or ends at, straight
      if (typeof n === "string") return []
      const { y: centre } = rectangles.get(n)
      return [[x, centre + dy + side * bands.get(Math.round(centre))]]
    }
    return {
      points: [start, ...clear(link.from, start, 1), ...middle, ...clear(link.to, stop, -1), stop],
      arrow: typeof link.to === "number" && !unfolded.has(link.to), label: link.label, at: link.at && [link.at[0] + dx, link.at[1] + dy],
    }
  })
  for (const rectangle of rectangles.values()) { rectangle.x += dx; rectangle.y += dy }
  return { width, height, rectangles, inner, lines, ports: new Map([...ports].map(port => [port, graph.node(port).x + dx])) }
}

const turn = ([x, y]) => direction === "right" ? [y, x] : [x, y]

// What is shown directly in the whole (null) and in each unfolded module.
function contents() {
  const children = new Map([[null, []]]), seen = new Set()
  for (const box of visible()) {
    for (const n of [box, ...around(box)]) {
      if (seen.has(n)) break
      seen.add(n)
      if (!children.has(parents[n])) children.set(parents[n], [])
      children.get(parents[n]).push(n)
    }
  }
  return children
}

// The rectangles of all nodes and frames shown, and all lines, where they are in the picture.
function layout() {
  const children = contents()
  const whole = arrange(null, children, levels())
  const rectangles = new Map(), lines = []
  const place = (part, x0, y0) => {
    for (const { points, arrow, label, at } of part.lines) {
      const moved = points.map(([x, y]) => turn([x + x0, y + y0]))
      lines.push({ points: moved, arrow, label, at: at && turn([at[0] + x0, at[1] + y0]) })
    }
    for (const [n, { x, y, width, height }] of part.rectangles) {
      const [cx, cy] = turn([x + x0, y + y0]), [w, h] = turn([width, height])
      rectangles.set(n, { x: cx, y: cy, width: w, height: h })
      if (part.inner.has(n)) place(part.inner.get(n), x + x0 - width / 2, y + y0 - height / 2)
    }
  }
  place(whole, 0, 0)
  const [width, height] = turn([whole.width, whole.height])
  return { rectangles, lines, extent: { width, height } }
}

function element(name, attributes, parent, text) {
  const made = document.createElementNS(SVG, name)
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value)
  if (text !== undefined) made.textContent = text
  parent?.append(made)
  return made
}

function box(n, { x, y, width, height }) {
  const node = nodes[n], lead = x - width / 2 + PAD, line = y + SIZE * 0.35 - (node.note ? LINE / 2 : 0)
  const group = element("g", { class: node.family + (node.again ? " again" : ""), "data-node": n, tabindex: 0, role: "button" })
  element("title", {}, group, node.hint)
  element("rect", { x: x - width / 2, y: y - height / 2, width, height, rx: node.kind === "leaf" ? ONE / 2 : 6 }, group)
  element("text", { x: lead, y: line }, group, node.label)
  if (node.shape) element("text", { class: "shape", x: lead + LETTER * SIZE * [...node.label].length + GAP, y: line }, group, node.shape)
  if (node.note) element("text", { class: "shape", x: lead, y: line + LINE }, group, node.note)
  return group
}

function frame(n, { x, y, width, height }) {
  const group = element("g", { class: "frame", "data-node": n, tabindex: 0, role: "button" })
  element("title", {}, group, nodes[n].hint + "\nclick to fold")
  element("rect", { x: x - width / 2, y: y - height / 2, width, height, rx: 9 }, group)
  return group
}

function heading(n, { x, y, width, height }) {
  const group = element("g", { class: "frame", "data-node": n })
  const letters = Math.max(1, Math.floor((width - 30) / (LETTER * SMALL)))
  const text = [nodes[n].title, nodes[n].label].find(t => t.length <= letters) ?? nodes[n].label.slice(0, letters - 1) + "…"
  element("text", { x: x - width / 2 + 8, y: y - height / 2 + 15 }, group, "− " + text)
  return group
}

// A line through points: straight along the flow, and in curves where it goes across.
function path(points) {
  let [x, y] = points[0], d = `M${x} ${y}`
  for (const [x1, y1] of points.slice(1)) {
    const [mx, my] = [(x + x1) / 2, (y + y1) / 2]
    if (x === x1 || y === y1) d += `L${x1} ${y1}`
    else d += direction === "right" ? `C${mx} ${y} ${mx} ${y1} ${x1} ${y1}` : `C${x} ${my} ${x1} ${my} ${x1} ${y1}`
    ;[x, y] = [x1, y1]
  }
  return d
}

function draw() {
  const found = layout()
  placed = found.rectangles
  extent = found.extent
  const names = [...placed.keys()], frames = names.filter(n => unfolded.has(n)).sort((a, b) => depth(a) - depth(b))
  const lines = found.lines.map(({ points, arrow }) => {
    return element("path", { d: path(points), ...(arrow ? { "marker-end": "url(#chainrule-arrow)" } : {}) })
  })
  const labels = found.lines.filter(line => line.label).map(({ label, at: [x, y] }) => {
    return element("text", { class: "edge", x, y: y + 4, "text-anchor": "middle" }, null, label)
  })
  const boxes = names.filter(n => !unfolded.has(n)).map(n => box(n, placed.get(n)))
  view.replaceChildren(...frames.map(n => frame(n, placed.get(n))), ...lines, ...labels, ...frames.map(n => heading(n, placed.get(n))), ...boxes)
  mark()
}

function move() {
  view.setAttribute("transform", `translate(${left} ${top_}) scale(${scale})`)
}

function centre(n, zoom = Math.max(scale, 0.8)) {
  const { x, y } = placed.get(n)
  scale = zoom
  left = picture.clientWidth / 2 - x * scale
  top_ = picture.clientHeight / 2 - y * scale
  move()
}

function fit(smallest = 0) {
  const { clientWidth: width, clientHeight: height } = picture
  scale = Math.max(smallest, Math.min(1.25, (width - 40) / extent.width, (height - 100) / extent.height))
  const start = [...placed.values()].reduce((a, b) => a.y - a.height / 2 <= b.y - b.height / 2 ? a : b)
  const fits = extent.width * scale <= width
  left = direction === "right" && !fits ? 20 : width / 2 - (fits ? extent.width / 2 : start.x) * scale
  top_ = Math.max(56, (height - extent.height * scale) / 2)
  move()
}

function warn(text) {
  $("help").textContent = text
  $("help").className = "warning"
}

// Change what is unfolded; the box or frame `n`, if it is still there, stays where it is on the screen.
function change(next, n) {
  const before = new Set(unfolded), anchor = n === undefined ? undefined : placed.get(n)
  unfolded.clear()
  next.forEach(m => unfolded.add(m))
  if (Math.max(...[...contents().values()].map(inside => inside.length)) > most) {
    unfolded.clear()
    before.forEach(m => unfolded.add(m))
    return warn(`A module of more than ${most} boxes cannot be unfolded: save its graph as .svg.`)
  }
  draw()
  if (!anchor || !placed.has(n)) return fit(0.8)
  const now = placed.get(n)
  left += (anchor.x - now.x) * scale
  top_ += (anchor.y - anchor.height / 2 - (now.y - now.height / 2)) * scale
  move()
}

function toggle(module) {
  const next = new Set(unfolded)
  if (next.has(module)) next.delete(module)
  else next.add(module)
  change(next, module)
}

function tell(n) {
  picked = n
  mark()
  const { label, hint, source } = nodes[n], aside = $("facts")
  aside.hidden = false
  aside.querySelector("h2").textContent = label
  $("hint").textContent = source ? hint.split("\n").slice(0, -2).join("\n") : hint  // whose last two lines tell the source
  aside.querySelector("h3").textContent = source ? `made in ${source.function}, ${source.file}:${source.line}`
    : nodes[n].kind === "op" ? "The line that made it is known if the forward ran in viz.watch(model) or anomaly mode." : ""
  const list = aside.querySelector("ol")
  list.start = source?.first ?? 1
  list.replaceChildren(...(source?.lines ?? []).map((text, i) => {
    const item = document.createElement("li")
    item.textContent = text || " "
    if (source.first + i === source.line) item.className = "made"
    return item
  }))
  list.querySelector(".made")?.scrollIntoView({ block: "nearest" })
}

function close() {
  $("facts").hidden = true
  picked = null
  mark()
}

function mark() {
  const found = new Set(hits.map(shown))
  picture.classList.toggle("searching", hits.length > 0)
  for (const group of view.querySelectorAll("g[data-node]")) {
    const n = Number(group.dataset.node)
    group.classList.toggle("hit", found.has(n))
    group.classList.toggle("current", current >= 0 && shown(hits[current]) === n)
    group.classList.toggle("picked", n === picked)
  }
  $("count").textContent = hits.length ? `${current + 1 || "–"} of ${hits.length}` : $("search").value ? "nothing found" : ""
}

function search() {
  const words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean)
  const text = n => [n, ...around(n)].flatMap(m => [nodes[m].label, m === n ? nodes[n].shape + " " + nodes[n].hint : ""]).join(" ").toLowerCase()
  hits = words.length ? nodes.map((_, n) => n).filter(n => !isModule(n) && words.every(word => text(n).includes(word))) : []
  current = -1
  mark()
}

function next(by) {
  if (!hits.length) return
  current = (current + by + hits.length + (current < 0 && by < 0 ? 1 : 0)) % hits.length
  const n = hits[current]
  change(new Set([...unfolded, ...around(n)]), shown(n))
  centre(shown(n))
  mark()
}

let pressed = null, travelled = 0
picture.addEventListener("pointerdown", e => { pressed = e.pointerId; travelled = 0 })
addEventListener("pointerup", () => { pressed = null; picture.classList.remove("moving") })
picture.addEventListener("pointermove", e => {
  if (pressed !== e.pointerId || !e.buttons) return
  travelled += Math.abs(e.movementX) + Math.abs(e.movementY)
  if (travelled < 4) return
  picture.classList.add("moving")
  left += e.movementX
  top_ += e.movementY
  move()
})
picture.addEventListener("wheel", e => {
  e.preventDefault()
  const factor = Math.exp(-e.deltaY * (e.deltaMode ? 0.05 : 0.0015)), to = Math.min(8, Math.max(0.02, scale * factor))
  const { left: x0, top: y0 } = picture.getBoundingClientRect()
  const [x, y] = [e.clientX - x0, e.clientY - y0]
  left = x - (x - left) * to / scale
  top_ = y - (y - top_) * to / scale
  scale = to
  move()
}, { passive: false })
function press(target) {
  const n = target.closest?.("g[data-node]")?.dataset.node
  if (n === undefined) close()
  else if (isModule(Number(n))) toggle(Number(n))
  else tell(Number(n))
}
picture.addEventListener("click", e => { if (travelled < 4) press(e.target) })
picture.addEventListener("keydown", e => { if (e.key === "Enter" || e.key === " ") { e.preventDefault(); press(e.target) } })
$("search").addEventListener("input", search)
$("search").addEventListener("keydown", e => { if (e.key === "Enter") next(e.shiftKey ? -1 : 1) })
$("fold").addEventListener("click", () => change([]))
$("unfold").addEventListener("click", () => change(modules))
$("fit").addEventListener("click", () => fit())
$("close").addEventListener("click", close)
addEventListener("keydown", e => {
  if (e.key === "Escape") close()
  if (e.key === "/" && e.target !== $("search")) { e.preventDefault(); $("search").focus() }
})

// Open as many levels of modules as stay readable.
for (let level = Math.max(0, ...modules.map(m => depth(m) + 1)); level >= 0; level--) {
  unfolded.clear()
  modules.filter(m => depth(m) < level).forEach(m => unfolded.add(m))
  if (visible().size <= readable) break
}
if (!modules.length) for (const id of ["fold", "unfold"]) $(id).hidden = true
draw()
fit(0.8)
