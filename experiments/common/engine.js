// The film's network by hand, for the pages: plain layers, sigmoids, the sum of squares. All parameters stand in one
// row, as jax.flatten_util.ravel_pytree puts them: layer by layer, the weights of neuron after neuron, then the biases.
//
// An image is its pixels that are not black, {places, levels}: four of five are black, and a black pixel neither adds
// to a sum nor asks anything of its weights. The first layer has loops of its own for them.
//
// The loops are plain and make no arrays: a browser then takes half the time for a step.

const sigmoid = z => 1 / (1 + Math.exp(-z));

// where every layer's parameters lie
function layersOf(sizes) {
  let at = 0;
  return sizes.slice(1).map((outputs, index) => {
    const layer = {inputs: sizes[index], outputs, weights: at, biases: at + sizes[index] * outputs};
    at = layer.biases + outputs;
    return layer;
  });
}

function imageOf(pixels) {  // levels from 0 to 1
  const places = Uint16Array.from(pixels.keys()).filter(place => pixels[place] !== 0);
  return {places, levels: Float64Array.from(places, place => pixels[place])};
}

// a number for every neuron; a batch writes those of image after image into the same room
const roomFor = layers => layers.map(layer => new Float64Array(layer.outputs));

// ---- forward ----

function activate({inputs, outputs, weights, biases}, params, before, found) {
  for (let j = 0; j < outputs; j++) {
    const row = weights + j * inputs;
    let z = params[biases + j];
    for (let k = 0; k < inputs; k++) z += params[row + k] * before[k];
    found[j] = sigmoid(z);
  }
}
function activateFromPixels({inputs, outputs, weights, biases}, params, {places, levels}, found) {
  for (let j = 0; j < outputs; j++) found[j] = params[biases + j];
  for (let k = 0; k < places.length; k++) {
    const level = levels[k];
    for (let j = 0, at = weights + places[k]; j < outputs; j++, at += inputs) found[j] += params[at] * level;
  }
  for (let j = 0; j < outputs; j++) found[j] = sigmoid(found[j]);
}

// the activations of every layer after the pixels
function forward(layers, params, image, activations = roomFor(layers)) {
  activateFromPixels(layers[0], params, image, activations[0]);
  for (let index = 1; index < layers.length; index++) activate(layers[index], params, activations[index - 1], activations[index]);
  return activations;
}

// ---- backward ----

// what a layer wishes of those before it: pull times weight, added up
function wishesBefore({inputs, outputs, weights}, params, pull, wishes) {
  wishes.fill(0);
  for (let j = 0; j < outputs; j++) {
    const row = weights + j * inputs;
    for (let k = 0; k < inputs; k++) wishes[k] += pull[j] * params[row + k];
  }
  return wishes;
}

// {nudges, pulls}: -dC/da and -dC/dz of every layer, outputs last
function backward(layers, params, activations, target, {nudges, pulls} = {nudges: roomFor(layers), pulls: roomFor(layers)}) {
  const last = layers.length - 1;
  for (let j = 0; j < layers[last].outputs; j++) nudges[last][j] = 2 * ((j === target ? 1 : 0) - activations[last][j]);
  for (let index = last; index >= 0; index--) {
    if (index < last) wishesBefore(layers[index + 1], params, pulls[index + 1], nudges[index]);
    for (let j = 0; j < layers[index].outputs; j++) {
      const a = activations[index][j];
      pulls[index][j] = nudges[index][j] * a * (1 - a);
    }
  }
  return {nudges, pulls};
}

// -dC/dw is pull times activation, -dC/db the pull; the gradient is what remains when they are taken away
function add({inputs, outputs, weights, biases}, gradient, pull, before) {
  for (let j = 0; j < outputs; j++) {
    const row = weights + j * inputs;
    for (let k = 0; k < inputs; k++) gradient[row + k] -= pull[j] * before[k];
    gradient[biases + j] -= pull[j];
  }
}
function addFromPixels({inputs, outputs, weights, biases}, gradient, pull, {places, levels}) {
  for (let k = 0; k < places.length; k++) {
    const level = levels[k];
    for (let j = 0, at = weights + places[k]; j < outputs; j++, at += inputs) gradient[at] -= pull[j] * level;
  }
  for (let j = 0; j < outputs; j++) gradient[biases + j] -= pull[j];
}

// ---- many images, and steps ----

function costOf(answers, target) {
  let total = 0;
  for (let j = 0; j < answers.length; j++) total += (answers[j] - (j === target ? 1 : 0)) ** 2;
  return total;
}
function answerOf(answers) {
  let best = 0;
  for (let j = 1; j < answers.length; j++) if (answers[j] > answers[best]) best = j;
  return best;
}
const dot = (a, b) => { let total = 0; for (let k = 0; k < a.length; k++) total += a[k] * b[k]; return total; };

// what `rows` of the images ask for, averaged: the gradient of their mean cost, that cost, how many are read rightly,
// and the mean of |g_i|^2, for which |pull|^2 (|a|^2 + 1) of every layer is enough
function ask(layers, params, images, labels, rows) {
  const gradient = new Float64Array(params.length), last = layers.length - 1;
  const activations = roomFor(layers), back = {nudges: roomFor(layers), pulls: roomFor(layers)};
  let cost = 0, right = 0, squares = 0;
  for (const row of rows) {
    const image = images[row];
    forward(layers, params, image, activations);
    backward(layers, params, activations, labels[row], back);
    cost += costOf(activations[last], labels[row]);
    right += answerOf(activations[last]) === labels[row];
    for (let index = 0; index <= last; index++) {
      const before = index ? activations[index - 1] : image.levels, pull = back.pulls[index];
      squares += dot(pull, pull) * (dot(before, before) + 1);
      if (index) add(layers[index], gradient, pull, before);
      else addFromPixels(layers[0], gradient, pull, image);
    }
  }
  const share = 1 / rows.length;
  for (let k = 0; k < gradient.length; k++) gradient[k] *= share;
  return {gradient, cost: share * cost, accuracy: share * right, squares: share * squares};
}

// one step downhill
const step = (params, gradient, rate) => params.map((each, k) => each - rate * gradient[k]);

const cosine = (a, b) => dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
// what theory expects of a batch of B of N images: 1/sqrt(1 + (B_simple/B) (N-B)/(N-1)), B_simple = tr Sigma / |G|^2
function expectedCosine(all, batchSize, count) {
  const squared = dot(all.gradient, all.gradient);
  return 1 / Math.sqrt(1 + (all.squares - squared) / squared / batchSize * (count - batchSize) / (count - 1));
}

// where a point lies: its shadow on the plane of two directions, and how far off it
function placeOf(point, origin, directions) {
  const away = point.map((each, k) => each - origin[k]);
  const [alpha, beta] = directions.map(direction => dot(away, direction));
  return {alpha, beta, off: Math.sqrt(Math.max(0, dot(away, away) - alpha * alpha - beta * beta))};
}
