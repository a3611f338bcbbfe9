"""The film's claims and its readers' questions: the table that every claim's id refers to.

The film is "What is backpropagation really doing?" (Deep learning, chapter 3) by 3Blue1Brown. T rows are its own
sentences, in its order; C rows are its readers' comments, by their numbers; E and N rows are questions of our own.
"speed" belongs to the benchmark. The words are ours. The film's material is CC BY-NC-SA; only its facts are used.

An essential row is one that this repository has to answer: by a claim that is a prediction, an identity or a follow-up,
or `unchecked` says why not: nothing is to be measured, another row measures it, or a law in tests/ holds it.
"""

from typing import NamedTuple


class Row(NamedTuple):
    """One thing that is said or asked: its id, our sentence for it, and the chapter that answers it. `minute` is the
    film's minute and second, where a reader names it."""

    id: str
    sentence: str
    chapter: str
    minute: str = ""
    essential: bool = False
    unchecked: str = ""


THANKS = "Thanks; there is nothing to measure."
OPEN = "An open question: no experiment asks it yet."

# fmt: off
ROWS: tuple[Row, ...] = (
    Row("T1", "The network has 784 inputs, two hidden layers of 16 and ten outputs.", "networks", essential=True),
    Row("T2", "A neuron is a weighted sum with a bias, then a sigmoid or a ReLU.", "networks", essential=True,
        unchecked="A definition; tests/test_relu.py holds that what is true by algebra is true with both."),
    Row("T3", "One example's cost is the sum of its outputs' squared errors.", "one_example", essential=True,
        unchecked="A definition; tests/test_costs.py holds it."),
    Row("T4", "The network's cost is the mean of all training examples' costs.", "all_examples", essential=True,
        unchecked="A definition; tests/test_gradients.py holds it."),
    Row("T5", "To learn is to look for weights and biases with a low cost.", "hill", essential=True,
        unchecked="A definition; T38 and T39 measure what comes of it."),
    Row("T6", "No direction lowers the cost as steeply as minus the gradient.", "one_example", essential=True),
    Row("T7", "Backpropagation computes the gradient.", "one_example", essential=True),
    Row("T8", "Nobody can picture a direction in 13,000 dimensions.", "one_example"),
    Row("T9", "The size of a component is the cost's sensitivity to that parameter.", "one_example", essential=True),
    Row("T10", "Components 3.2 and 0.1: one wiggle changes the cost 32 times as much.", "one_example", essential=True),
    Row("T11", "Notation and indices are what confuses most.", "one_example",
        unchecked="Nobody is asked here; T41 writes the indices out."),
    Row("T12", "The gradient is a sum of many small and simple adjustments.", "one_example", essential=True,
        unchecked="True by algebra; tests/test_backprop.py holds it."),
    Row("T13", "Strictly, each step of gradient descent depends on every example.", "all_examples"),
    Row("T14", "Before training, the outputs for an image of a 2 look arbitrary.", "one_example", essential=True),
    Row("T15", "Only weights and biases can be set; activations follow from them.", "one_example", essential=True,
        unchecked="An update holds nothing else, by its type; C13 measures how the activations follow."),
    Row("T16", "For a 2, its own output should rise and the nine others should fall.", "one_example", essential=True),
    Row("T17", "An output's nudge is proportional to its distance from its target.", "one_example", essential=True),
    Row("T18", "A neuron rises by its bias, its weights or the activations before it.", "one_example", essential=True,
        unchecked="True by algebra; tests/test_backprop.py holds it, and C3 measures the shares."),
    Row("T19", "A weight behind a bright neuron has more influence than one behind a dim neuron.", "one_example",
        essential=True),
    Row("T20", "Which weights matter is one example's opinion; others may differ.", "all_examples"),
    Row("T21", "Of equally long changes, some lower the cost more than others.", "one_example", essential=True,
        unchecked="T6 measures it, along single parameters and along whole directions."),
    Row("T22", "As in Hebb's rule, weights grow most between active and wished-for neurons.", "one_example",
        essential=True),
    Row("T23", "The likeness to Hebb's rule has its limits.", "one_example"),
    Row("T24", "To raise a neuron, those before it should change in proportion to their weights, signs included.",
        "one_example", essential=True),
    Row("T25", "Every output has wishes for the layer before, and these are added up.", "one_example", "7:38", True),
    Row("T26", "The sums are that layer's nudges, and the same rule goes on backwards.", "one_example", essential=True),
    Row("T27", "A network that listened to one 2 alone would call every image a 2.", "all_examples", essential=True),
    Row("T28", "The same is done for every example, and what they want is averaged.", "all_examples", essential=True),
    Row("T29", "The averaged nudges are minus the gradient, up to a factor.", "all_examples", essential=True),
    Row("T30", "A step that asks every example takes very long.", "mini_batches", essential=True,
        unchecked="How long depends on the machine: full_batch_vs_sgd times it, as speed; C32 measures how it grows."),
    Row("T31", "The examples are shuffled and cut into mini-batches, say of 100.", "mini_batches", essential=True),
    Row("T32", "A mini-batch's gradient is not the true one, so its step is not the steepest.", "mini_batches",
        essential=True),
    Row("T33", "A mini-batch's gradient is nevertheless close to the true one.", "mini_batches", essential=True),
    Row("T34", "Mini-batches save much computing time.", "mini_batches", essential=True),
    Row("T35", "Mini-batches are a drunk man with quick steps, the full batch is a careful man with slow ones.", "hill",
        essential=True),
    Row("T36", "The method is called stochastic gradient descent.", "mini_batches", unchecked="A name."),
    Row("T37", "The proportions of the nudges, not only their signs, make the cost fall fastest.", "one_example",
        unchecked="T6 measures it, along the signs alone."),
    Row("T38", "Going through the mini-batches again and again ends near a local minimum.", "hill", essential=True),
    Row("T39", "The trained network does very well on its training examples.", "networks", essential=True),
    Row("T40", "Each line of a program for backpropagation has its counterpart in the film.", "one_example",
        unchecked="The table in the README leads from the film to the files; there is no number."),
    Row("T41", "Knowing what happens is half of it; writing it down in formulas is the other half.", "one_example"),
    Row("T42", "Learning needs many training examples.", "labels", essential=True),
    Row("T43", "MNIST offers tens of thousands of labelled digits.", "labels", essential=True,
        unchecked="A fact about the data; tests/test_data.py holds counts and checksums."),
    Row("T44", "People write the labels, and somebody has to control their quality.", "labels"),
    Row("T45", "A sponsor and the supporters are thanked.", "labels", unchecked="An advertisement."),

    Row("C1", "Should the arrows of the unwanted digits not point the other way?", "one_example", "7:38", True),
    Row("C2", "While one layer's weights are updated, is the next layer's held or updated too?", "one_example",
        essential=True),
    Row("C3", "How are the three avenues balanced, how do biases change, does the first layer hardly change?",
        "one_example", "5:09", True),
    Row("C4", "After a few viewings it is understood; now for the mathematics.", "one_example", unchecked=THANKS),
    Row("C5", "Should the arrows' colours not be the opposite for all outputs but one?", "one_example", "7:37", True),
    Row("C6", "Has each example a gradient, and does the average only measure?", "all_examples", essential=True),
    Row("C7", "Another tutorial has the mathematics and a program.", "one_example", unchecked="A recommendation."),
    Row("C8", "How many hidden neurons and layers, and what do more or fewer do?", "networks", essential=True),
    Row("C9", "What about convolutional networks?", "networks"),
    Row("C10", "The animations are made by a program of their own.", "one_example", unchecked=THANKS),
    Row("C11", "Why change all layers, when perhaps the last one alone is to blame?", "one_example", "8:05", True),
    Row("C12", "This is where it became clear; convolutional networks next, please.", "networks", "9:00",
        unchecked="C9 asks the same."),
    Row("C13", "Do hidden weights and biases stay, while only activations change?", "one_example", "6:42", True),
    Row("C14", "Who may use what machines have learned, and what becomes of democracy?", "labels",
        unchecked="A question of law and politics."),
    Row("C15", "Do pixels and outputs suffice, what does a middle layer add, is a traffic light of six pixels easier?",
        "networks", essential=True),
    Row("C16", "The tutorials make it logical and fun.", "one_example", unchecked=THANKS),
    Row("C17", "One cannot stop watching.", "one_example", unchecked=THANKS),
    Row("C18", "Should the gradient not have 784 x 16 components only?", "networks", essential=True),
    Row("C19", "It helps to explain networks to fellow students.", "one_example", unchecked=THANKS),
    Row("C20", "Are conjugate gradients, BFGS and the like not better in practice?", "networks", essential=True),
    Row("C21", "After a course on the subject the film is clearer.", "one_example", unchecked=THANKS),
    Row("C22", "The columns of signs made it clear.", "one_example", "7:37", unchecked="T25 computes them."),
    Row("C23", "Descent stops at a small gradient, is scaled by a rate, and goes from the last layer back.",
        "hill", essential=True),
    Row("C24", "Mini-batches are less accurate and much quicker.", "mini_batches", unchecked="T33 and T34 measure it."),
    Row("C25", "The subtitles translate bias as prejudice.", "one_example", unchecked="A matter of translation."),
    Row("C26", "The subtitles were translated by a machine.", "one_example", unchecked="A matter of translation."),
    Row("C27", "Why not with pen and paper, without music and animations?", "one_example"),
    Row("C28", "It makes one want to write a program.", "one_example", unchecked=THANKS),
    Row("C29", "How does one find out what a network, such as one after Hubel and Wiesel, has learned?", "networks"),
    Row("C30", "The film speaks very clearly.", "one_example", unchecked=THANKS),
    Row("C31", "Has one formula an index too many?", "one_example", "11:51", unchecked="A slip of notation."),
    Row("C32", "How do time and memory grow with the data, the layers and the neurons?", "networks", essential=True),
    Row("C33", "The film is good, and yet much remains unclear.", "one_example", unchecked=THANKS),
    Row("C34", "The comment is empty.", "one_example", unchecked="Nothing is said."),
    Row("C35", "It is a model for teaching.", "one_example", unchecked=THANKS),
    Row("C36", "A surprising number of people watch this.", "one_example", unchecked=THANKS),
    Row("C37", "Now one can build a network of one's own.", "one_example", unchecked=THANKS),
    Row("C38", "If a second guess counts too, are 99.99 % of the answers right?", "labels"),

    Row("E5", "For how long is a mini-batch's gradient close to the true one, and how does the noise scale grow?",
        "mini_batches"),
    Row("E6", "How does the scatter of mini-batch gradients depend on how batches are drawn?", "mini_batches"),
    Row("E8", "How much more do the paths of small batches wind than that of the full batch?", "hill"),
    Row("E9", "How many steps and examples does each batch size need to reach the same cost?", "mini_batches"),
    Row("E10", "Are k steps as good as one on k times the examples at k times the learning rate?", "mini_batches"),
    Row("E11", "How steep is the valley each descent walks in, beside 2 over the learning rate?", "hill"),
    Row("E12", "Do the examples' gradients agree, and for how long?", "all_examples"),
    Row("E13", "How does the error fall with the number of examples, and what gives a wrong label away?", "labels"),
    Row("E14", "How do the accuracy and the first layer's gradient depend on width and depth?", "networks",
        unchecked="C8 and C15 ask the same; the claims carry their ids."),
    Row("E15", "How do optimizers compare when each computes equally many gradients?", "networks"),
    Row("E17", "What changes with another cost, such as cross-entropy?", "networks"),
    Row("E18", "How many operations does a gradient take, counted and by formula?", "networks"),
    Row("E19", "Does it matter whether examples are shuffled, drawn by lot or sorted?", "mini_batches"),
    Row("E20", "How often does a second guess mend the first?", "labels"),
    Row("E21", "How high is the floor that a constant learning rate leaves?", "hill"),
    Row("E22", "Where does it pay to share the work out over many devices?", "networks"),
    Row("speed", "How fast is the library, beside numpy and PyTorch?", "networks"),

    Row("N1", "Is the average of the drunk man's footsteps sober, and that of many drunk men?", "hill"),
    Row("N2", "What does shuffling do, averaged over every possible order?", "mini_batches"),
    Row("N3", "Is the steepest direction also the way forward?", "hill", unchecked=OPEN),
    Row("N4", "Which examples should be asked, and how much is won by choosing them?", "mini_batches", unchecked=OPEN),
    Row("N5", "Where does the valley of mini-batch descent stop getting steeper?", "hill"),
    Row("N6", "If two descents part after k steps, do they end in one valley?", "hill", unchecked=OPEN),
    Row("N7", "What does a guide, a full gradient now and then, do for the drunk man?", "mini_batches", unchecked=OPEN),
    Row("N8", "Is the noise of the mini-batches largest where the valley is steepest?", "hill", unchecked=OPEN),
    Row("N9", "Does a run survive kills and faults with the same bits, and is a bad input refused in one sentence?",
        "networks"),
    Row("N10", "Do more devices, another Python and another JAX find the same numbers?", "networks"),
)
# fmt: on

FILM: dict[str, Row] = {row.id: row for row in ROWS}
