// The film's network, 784-16-16-10, written out for it alone: how fast the same work can be where nothing is general. An
// epoch of mini-batch descent, and the sums over many images of every derivative and of its square; on one thread. One
// vector holds a number for each of a layer's 16 neurons; the ten outputs are filled up with zeros. A delta is dC/dz, z
// the weighted sums.
#include <string.h>

enum { PIXELS = 784, WIDE = 16, OUTPUTS = 10, BATCH = 100 };
#ifdef __AVX512F__  // so many sums stay in registers at once
enum { EXAMPLES_AT_ONCE = 10, INPUTS_AT_ONCE = 16 };
#else
enum { EXAMPLES_AT_ONCE = 5, INPUTS_AT_ONCE = 4 };
#endif
#define INLINE static inline __attribute__((always_inline))  // so that every call knows its number of inputs

typedef float row __attribute__((vector_size(4 * WIDE)));
typedef struct { row weights[PIXELS], biases; } First;  // weights[k] lead from input k to every neuron
typedef struct { row weights[WIDE], biases; } Layer;
typedef struct { First first; Layer second, third; } Network;
typedef struct {
    float pixels[BATCH * PIXELS];
    row first[BATCH], second[BATCH], outputs[BATCH], by_first[BATCH], by_second[BATCH], by_outputs[BATCH];
} Batch;  // its activations, and its deltas

// found[e] = start + the sum over k of inputs[e][k] weights[k]
INLINE void weighted_sums(const float *inputs, int num_inputs, const row *weights, row start, row *found)
{
    for (int at = 0; at < BATCH; at += EXAMPLES_AT_ONCE) {
        row sums[EXAMPLES_AT_ONCE];
        for (int e = 0; e < EXAMPLES_AT_ONCE; e++) sums[e] = start;
        for (int k = 0; k < num_inputs; k++)
            for (int e = 0; e < EXAMPLES_AT_ONCE; e++) sums[e] += inputs[(at + e) * num_inputs + k] * weights[k];
        memcpy(found + at, sums, sizeof sums);
    }
}

// weights[k] += scale * the sum over e of inputs[e][k] delta[e]; the biases have input 1
INLINE void add_products(const float *inputs, int num_inputs, const row *delta, float scale, row *weights, row *biases)
{
    for (int at = 0; at < num_inputs; at += INPUTS_AT_ONCE) {
        row sums[INPUTS_AT_ONCE] = {0};
        for (int e = 0; e < BATCH; e++)
            for (int k = 0; k < INPUTS_AT_ONCE; k++) sums[k] += inputs[e * num_inputs + at + k] * delta[e];
        for (int k = 0; k < INPUTS_AT_ONCE; k++) weights[at + k] += scale * sums[k];
    }
    for (int e = 0; e < BATCH; e++) *biases += scale * delta[e];
}

// 1 / (1 + e^-z), where e^-z = 2^n e^r, |r| is at most ln(2) / 2, and e^r comes from its series
INLINE float sigmoid(float z)
{
    float x = z > 80.0f ? -80.0f : z < -80.0f ? 80.0f : -z;
    float n = (x * 1.44269504f + 12582912.0f) - 12582912.0f;  // rounded: a float of 1.5 * 2^23 has no fraction
    float r = x - n * 0.693359375f + n * 2.12194440e-4f;      // ln(2) in two parts
    float power = 1 + r * (1 + r * (1 / 2.0f + r * (1 / 6.0f + r * (1 / 24.0f + r * (1 / 120.0f + r / 720.0f)))));
    int bits;
    memcpy(&bits, &power, sizeof bits);
    bits += (int)n << 23;  // times 2^n: n more in the exponent
    memcpy(&power, &bits, sizeof bits);
    return 1 / (1 + power);
}

INLINE void squash(row *sums)
{
    float *each = (float *)sums;
    for (int i = 0; i < BATCH * WIDE; i++) each[i] = sigmoid(each[i]);
}

// A layer's delta from that of the layer behind it, through the weights between them
INLINE void hand_back(const row *delta, const row *weights, const row *activations, row *found)
{
    row columns[WIDE];
    for (int i = 0; i < WIDE; i++)
        for (int j = 0; j < WIDE; j++) columns[i][j] = weights[j][i];
    weighted_sums((const float *)delta, WIDE, columns, (row){0}, found);
    for (int e = 0; e < BATCH; e++) found[e] *= activations[e] * (1.0f - activations[e]);
}

static void fetch(const unsigned char *image, float *pixels)
{
    for (int k = 0; k < PIXELS; k++) pixels[k] = image[k] * (1.0f / 255);
}

// Forward, and backward to the deltas; targets[e] are the ten of example e
static void backpropagate(Batch *batch, const float **targets, const Network *network)
{
    weighted_sums(batch->pixels, PIXELS, network->first.weights, network->first.biases, batch->first);
    squash(batch->first);
    weighted_sums((float *)batch->first, WIDE, network->second.weights, network->second.biases, batch->second);
    squash(batch->second);
    weighted_sums((float *)batch->second, WIDE, network->third.weights, network->third.biases, batch->outputs);
    squash(batch->outputs);
    for (int e = 0; e < BATCH; e++) {
        row error = {0}, outputs = batch->outputs[e];
        for (int j = 0; j < OUTPUTS; j++) error[j] = outputs[j] - targets[e][j];
        batch->by_outputs[e] = 2.0f * error * outputs * (1.0f - outputs);
    }
    hand_back(batch->by_outputs, network->third.weights, batch->second, batch->by_second);
    hand_back(batch->by_second, network->second.weights, batch->first, batch->by_first);
}

// into += scale * the sum of the examples' gradients
static void add_gradients(const Batch *batch, float scale, Network *into)
{
    add_products(batch->pixels, PIXELS, batch->by_first, scale, into->first.weights, &into->first.biases);
    add_products((float *)batch->first, WIDE, batch->by_second, scale, into->second.weights, &into->second.biases);
    add_products((float *)batch->second, WIDE, batch->by_outputs, scale, into->third.weights, &into->third.biases);
}

// A step for every BATCH rows of `order`; the parameters are a Network, and become what it is after the last step
void epoch(float *parameters, const unsigned char *images, const float *targets, const int *order, int num_steps,
           float rate)
{
    static Network network;
    static Batch batch;
    const float *wanted[BATCH];
    memcpy(&network, parameters, sizeof network);
    for (int s = 0; s < num_steps; s++, order += BATCH) {
        for (int e = 0; e < BATCH; e++) {
            fetch(images + (long)order[e] * PIXELS, batch.pixels + e * PIXELS);
            wanted[e] = targets + (long)order[e] * OUTPUTS;
            if (s + 1 < num_steps)  // the images of the next step are fetched meanwhile
                for (int k = 0; k < PIXELS; k += 64) __builtin_prefetch(images + (long)order[BATCH + e] * PIXELS + k);
        }
        backpropagate(&batch, wanted, &network);
        add_gradients(&batch, -rate / BATCH, &network);
    }
    memcpy(parameters, &network, sizeof network);
}

// Of every derivative over num_batches * BATCH images: its sum, and that of its square, which is the product of the
// input's and the delta's, unless `squares` is NULL. Called from many threads at once
void add_up(const float *parameters, const unsigned char *images, const float *targets, int num_batches, float *sums,
            float *squares)
{
    static _Thread_local Network network, sum, square;
    static _Thread_local Batch batch;
    const float *wanted[BATCH];
    memcpy(&network, parameters, sizeof network);
    memset(&sum, 0, sizeof sum);
    memset(&square, 0, sizeof square);
    for (int b = 0; b < num_batches; b++) {
        for (int e = 0; e < BATCH; e++, images += PIXELS, targets += OUTPUTS) {
            fetch(images, batch.pixels + e * PIXELS);
            wanted[e] = targets;
        }
        backpropagate(&batch, wanted, &network);
        add_gradients(&batch, 1, &sum);
        if (!squares) continue;
        float *each = (float *)&batch;
        for (unsigned long i = 0; i < sizeof batch / sizeof *each; i++) each[i] *= each[i];
        add_gradients(&batch, 1, &square);
    }
    memcpy(sums, &sum, sizeof sum);
    if (squares) memcpy(squares, &square, sizeof square);
}
