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

function layout() {
  const graph = new dagre.Graph({ compound: true })
  const many = nodes.length > 600
  graph.setGraph({
    rankdir: direction === "right" ? "LR" : "TB", nodesep: 22, edgesep: 14, ranksep: 34, marginx: 0, marginy: 0,
    ranker: many ? "tight-tree" : "network-simplex",
  })
  const boxes = visible()
  for (const n of boxes) graph.setNode(String(n), { width: nodes[n].width, height: nodes[n].height })
  for (const n of boxes) {
    let child = n
    for (const module of around(n)) {
      if (!graph.hasNode(String(module))) graph.setNode(String(module), {})
      graph.setParent(String(child), String(module))
      child = module
    }
  }
  const texts = new Map()
  for (const [a, b, text] of edges) {
    const [from, to] = [shown(a), shown(b)]
    if (from === to) continue
    const key = from + " " + to
    if (!texts.has(key)) texts.set(key, new Set())
    texts.get(key).add(text)
  }
  for (const [key, all] of texts) {
    const [from, to] = key.split(" ")
    const label = all.size === 1 ? [...all][0] : ""
    const size = label ? { width: label.length * LETTER * SMALL + 8, height: 14, labelpos: "c" } : {}
    graph.setEdge(from, to, { label, ...size })
  }
  dagre.layout(graph)
  return graph
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
  const letters = Math.max(1, Math.floor((width - 30) / (LETTER * SMALL)))
  const text = [nodes[n].title, nodes[n].label].find(t => t.length <= letters) ?? nodes[n].label.slice(0, letters - 1) + "…"
  element("title", {}, group, nodes[n].hint + "\nclick to fold")
  element("rect", { x: x - width / 2, y: y - height / 2, width, height, rx: 9 }, group)
  element("text", { x: x - width / 2 + 8, y: y - height / 2 + 15 }, group, "− " + text)
  return group
}

// A line through points, its corners rounded.
function path(points) {
  let d = `M${points[0].x} ${points[0].y}`
  for (let i = 1; i < points.length - 1; i++) {
    const corner = points[i], after = points[i + 1]
    d += `Q${corner.x} ${corner.y} ${(corner.x + after.x) / 2} ${(corner.y + after.y) / 2}`
  }
  const end = points[points.length - 1]
  return d + `L${end.x} ${end.y}`
}

function draw() {
  const graph = layout()
  const names = graph.nodes().map(Number)
  placed = new Map(names.map(n => [n, graph.node(String(n))]))
  extent = { width: graph.graph().width, height: graph.graph().height }
  const frames = names.filter(n => isModule(n) && unfolded.has(n)).sort((a, b) => depth(a) - depth(b))
  const parts = frames.map(n => frame(n, placed.get(n)))
  const labels = []
  for (const edge of graph.edges()) {
    const { points, label, x, y } = graph.edge(edge)
    parts.push(element("path", { d: path(points), "marker-end": "url(#chainrule-arrow)" }))
    if (label) labels.push(element("text", { class: "edge", x, y: y + 4, "text-anchor": "middle" }, null, label))
  }
  const boxes = names.filter(n => !unfolded.has(n)).map(n => box(n, placed.get(n)))
  view.replaceChildren(...parts, ...labels, ...boxes)
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
  left = (width - extent.width * scale) / 2
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
  if (visible().size > most) {
    unfolded.clear()
    before.forEach(m => unfolded.add(m))
    return warn(`That would be more than ${most} boxes: unfold fewer modules at once.`)
  }
  draw()
  if (!anchor || !placed.has(n)) return fit(0.35)
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
  $("hint").textContent = source ? hint.split("\n").filter(line => !line.startsWith(source.file + ":")).slice(0, -1).join("\n") : hint
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
  const text = n => [nodes[n].label, nodes[n].shape, nodes[n].note, nodes[n].hint].join(" ").toLowerCase()
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
fit(0.5)
