// The film's network by hand, for the pages: plain layers, sigmoids, the sum of squares. All parameters stand in one
// row, as jax.flatten_util.ravel_pytree puts them: layer by layer, the weights of neuron after neuron, then the biases.
//
// An image is its pixels that are not black, {places, levels}: four of five are black, and a black pixel neither adds
// to a sum nor asks anything of its weights.

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

// What comes in at one neuron, and what is added to its weights: from neurons, and from pixels. Each has a loop of its
// own, which a browser runs faster than one that asks every time which of the two it is.
function weightedSum(params, row, before) {
  let total = 0;
  for (let k = 0; k < before.length; k++) total += params[row + k] * before[k];
  return total;
}
function weightedSumOfPixels(params, row, {places, levels}) {
  let total = 0;
  for (let k = 0; k < levels.length; k++) total += params[row + places[k]] * levels[k];
  return total;
}
function add(gradient, row, slope, before) {
  for (let k = 0; k < before.length; k++) gradient[row + k] += slope * before[k];
}
function addPixels(gradient, row, slope, {places, levels}) {
  for (let k = 0; k < levels.length; k++) gradient[row + places[k]] += slope * levels[k];
}

// the activations of every layer after the pixels
function forward(layers, params, image) {
  const activations = [];
  layers.forEach((layer, index) => {
    const found = new Float64Array(layer.outputs);
    for (let j = 0; j < layer.outputs; j++) {
      const row = layer.weights + j * layer.inputs;
      const comesIn = index ? weightedSum(params, row, activations[index - 1]) : weightedSumOfPixels(params, row, image);
      found[j] = sigmoid(comesIn + params[layer.biases + j]);
    }
    activations.push(found);
  });
  return activations;
}

// {nudges, pulls}: -dC/da and -dC/dz of every layer, outputs last; pixels: also -dC/da of every pixel
function backward(layers, params, activations, target, pixels = false) {
  const last = layers.length - 1, pulls = [], nudges = [];
  let wishes = activations[last].map((a, j) => 2 * ((j === target ? 1 : 0) - a));
  for (let index = last; index >= 0; index--) {
    const layer = layers[index], pull = wishes.map((wish, j) => wish * activations[index][j] * (1 - activations[index][j]));
    nudges.unshift(wishes);
    pulls.unshift(pull);
    if (index === 0 && !pixels) break;
    wishes = new Float64Array(layer.inputs);
    for (let j = 0; j < layer.outputs; j++) {
      const row = layer.weights + j * layer.inputs;
      for (let k = 0; k < layer.inputs; k++) wishes[k] += pull[j] * params[row + k];
    }
  }
  return {nudges, pulls, pixels: pixels ? wishes : null};
}

const costOf = (answers, target) => answers.reduce((total, a, j) => total + (a - (j === target ? 1 : 0)) ** 2, 0);
const answerOf = answers => answers.indexOf(Math.max(...answers));
const dot = (a, b) => { let total = 0; for (let k = 0; k < a.length; k++) total += a[k] * b[k]; return total; };

// what `rows` of the images ask for, averaged: the gradient of their mean cost, that cost, how many are read rightly,
// and the mean of |g_i|^2, for which |pull|^2 (|a|^2 + 1) of every layer is enough
function ask(layers, params, images, labels, rows) {
  const gradient = new Float64Array(params.length);
  let cost = 0, right = 0, squares = 0;
  for (const row of rows) {
    const image = images[row], activations = forward(layers, params, image);
    const {pulls} = backward(layers, params, activations, labels[row]), answers = activations[layers.length - 1];
    cost += costOf(answers, labels[row]);
    right += answerOf(answers) === labels[row];
    layers.forEach((layer, index) => {
      const before = index ? activations[index - 1] : image.levels;
      squares += dot(pulls[index], pulls[index]) * (dot(before, before) + 1);
      for (let j = 0; j < layer.outputs; j++) {
        const row = layer.weights + j * layer.inputs, slope = -pulls[index][j];
        if (index) add(gradient, row, slope, before);
        else addPixels(gradient, row, slope, image);
        gradient[layer.biases + j] += slope;
      }
    });
  }
  const share = 1 / rows.length;
  return {gradient: gradient.map(each => share * each), cost: share * cost, accuracy: share * right, squares: share * squares};
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
