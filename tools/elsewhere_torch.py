"""The part of `tools.elsewhere` that trains: PyTorch, and no TensorFlow, on a GPU or on the CPU.

    python elsewhere_torch.py FOLDER RESULTS [--bfloat16] [--seconds N]

It trains the jobs of FOLDER one after the other, and begins none that would not be done in so many seconds; one that
was killed goes on from where it last was kept. RESULTS gets their weights (float16, as they are sent) and histories in
files of at most 15 MiB. What an example is made of is `zoo.pipeline`'s; the numbers that are drawn are PyTorch's, so a
run here is no repetition of one there.

On a CPU that multiplies 16-bit numbers (AVX-512 BF16) Micro-ACDNet trains with --bfloat16 about three times as fast as
under TensorFlow; weights and scores stay of 32 bits.
"""

import argparse
import pickle
import time
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import nn
from torch.nn import functional

FULL_SCALE = 32_768.0
PART_BYTES = 15 * 2**20
TIMED = 3  # epochs by which the time of the others is reckoned
KEPT_EVERY_S = 60
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"

# A Keras tensor (rows, columns, channels) is (channels, columns, rows) here: a waveform's samples lie side by side.
AXES = {1: 3, 2: 2, 3: 1}


def _turned(pair):
    return tuple(reversed(pair))


class Convolution(nn.Module):
    """Keras's Conv2D, DepthwiseConv2D and, of this project, BinaryConv2D."""

    def __init__(self, kind, config, weights):
        super().__init__()
        assert tuple(config["dilation_rate"]) == (1, 1) and config["activation"] == "linear"
        self.is_depthwise, self.is_binary = kind == "DepthwiseConv2D", kind == "BinaryConv2D"
        self.strides, self.is_padded = _turned(config["strides"]), config["padding"] == "same"
        kernel = weights[0].transpose(2, 3, 1, 0) if self.is_depthwise else weights[0].transpose(3, 2, 1, 0)
        self.kernel_shape = kernel.shape
        kernel = kernel.reshape(-1, 1, *kernel.shape[2:]) if self.is_depthwise else kernel
        self.kernel = nn.Parameter(torch.tensor(kernel))
        self.bias = nn.Parameter(torch.tensor(weights[1])) if config.get("use_bias") else None

    def forward(self, x):
        kernel, padding = self.kernel, (0, 0)
        if self.is_binary:
            x, kernel = Sign.apply(x), kernel.abs().mean((1, 2, 3), keepdim=True) * Sign.apply(kernel)
        if self.is_padded:
            x, padding = _padded(x, kernel.shape[2:], self.strides)
        groups = x.shape[1] if self.is_depthwise else 1
        return functional.conv2d(x, kernel, self.bias, self.strides, padding, groups=groups)

    def keras_weights(self):
        kernel = self.kernel.detach().cpu().numpy().reshape(self.kernel_shape)
        kernel = kernel.transpose(3, 2, 0, 1) if self.is_depthwise else kernel.transpose(3, 2, 1, 0)
        return [kernel] + ([] if self.bias is None else [self.bias.detach().cpu().numpy()])


def _padded(x, kernel_size, strides):
    """(x, the padding that the convolution is still to do): Keras's "same" puts the odd one behind."""
    totals = [
        max((-(-size // stride) - 1) * stride + kernel - size, 0)
        for size, kernel, stride in zip(x.shape[2:], kernel_size, strides)
    ]
    if all(total % 2 == 0 for total in totals):
        return x, tuple(total // 2 for total in totals)
    columns, rows = totals
    return functional.pad(x, (rows // 2, rows - rows // 2, columns // 2, columns - columns // 2)), (0, 0)


class Sign(torch.autograd.Function):
    """1 where x is 0 or more, else -1; a gradient passes where x lies in [-1, 1]."""

    @staticmethod
    def forward(context, x):
        context.save_for_backward(x)
        return torch.where(x >= 0, 1.0, -1.0).to(x.dtype)

    @staticmethod
    def backward(context, upstream):
        (x,) = context.saved_tensors
        return torch.where(x.abs() <= 1, upstream, 0.0)


class Norm(nn.Module):
    """Keras's BatchNormalization."""

    def __init__(self, kind, config, weights):
        super().__init__()
        self.follows = config["trainable"]
        self.settings = {"momentum": 1 - config["momentum"], "eps": config["epsilon"]}
        weights = [torch.tensor(weight) for weight in weights]
        self.gamma = nn.Parameter(weights.pop(0)) if config["scale"] else None
        self.beta = nn.Parameter(weights.pop(0)) if config["center"] else None
        self.register_buffer("mean", weights[0])
        self.register_buffer("variance", weights[1])

    def forward(self, x):
        follows = self.training and self.follows
        return functional.batch_norm(x, self.mean, self.variance, self.gamma, self.beta, follows, **self.settings)

    def keras_weights(self):
        held = (self.gamma, self.beta, self.mean, self.variance)
        return [weight.detach().cpu().numpy() for weight in held if weight is not None]


class Dense(nn.Module):
    """Keras's Dense."""

    def __init__(self, kind, config, weights):
        super().__init__()
        self.activation = {"linear": lambda x: x, "softmax": _softmax}[config["activation"]]
        self.kernel, self.bias = (nn.Parameter(torch.tensor(weight)) for weight in weights)

    def forward(self, x):
        return self.activation(x @ self.kernel + self.bias)

    def keras_weights(self):
        return [self.kernel.detach().cpu().numpy(), self.bias.detach().cpu().numpy()]


def _softmax(x):
    return torch.softmax(x.float(), -1)


class Plain(nn.Module):
    """A layer of Keras without weights."""

    def __init__(self, kind, config, weights):
        super().__init__()
        self.kind, self.config = kind, config

    def forward(self, *inputs):
        kind, config, (x, *others) = self.kind, self.config, inputs
        if kind == "Add":
            return sum(others, x)
        if kind == "Permute":
            channels, columns, rows = (AXES[config["dims"][axis]] for axis in (2, 1, 0))
            return x.permute(0, channels, columns, rows)
        if kind == "ReLU":
            return torch.clamp(x, 0, config["max_value"]) if config["max_value"] else torch.relu(x)
        if kind in ("MaxPooling2D", "AveragePooling2D"):
            assert config["padding"] == "valid"
            pool = functional.max_pool2d if kind == "MaxPooling2D" else functional.avg_pool2d
            return pool(x, _turned(config["pool_size"]), _turned(config["strides"]))
        if kind == "GlobalAveragePooling2D":
            return x.mean((2, 3))
        if kind == "ZeroPadding2D":
            return functional.pad(x, [size for pair in config["padding"] for size in pair])
        if kind == "Dropout":
            return functional.dropout(x, config["rate"], self.training)
        if kind == "Flatten":
            return x.permute(0, 3, 2, 1).flatten(1)
        if kind == "Softmax" or (kind, config.get("activation")) == ("Activation", "softmax"):
            return _softmax(x)
        raise NotImplementedError(f"{config['name']}: a {kind} is not trained elsewhere")

    def keras_weights(self):
        return []


KINDS = {
    **dict.fromkeys(("Conv2D", "DepthwiseConv2D", "BinaryConv2D"), Convolution),
    "BatchNormalization": Norm,
    "Dense": Dense,
}


class Net(nn.Module):
    """The functional Keras model of a job, over its columns (batch, 1, bands, frames) or waveforms."""

    def __init__(self, config, weights):
        super().__init__()
        self.inputs, self.layers = {}, nn.ModuleDict()
        for layer in config["layers"]:
            name, kind = layer["name"], layer["class_name"]
            if kind == "InputLayer":
                self.first = name
                continue
            held = [weight.astype(np.float32) for weight in weights[name]]
            made = KINDS.get(kind, Plain)(kind, layer["config"], held)
            self.layers[name] = made.requires_grad_(layer["config"]["trainable"])
            self.inputs[name] = [source[0] for source in layer["inbound_nodes"][0]]

    def forward(self, x):
        values = {self.first: x}
        for name, layer in self.layers.items():
            values[name] = layer(*(values[source] for source in self.inputs[name]))
        return values[name]

    def keras_weights(self):
        """{layer: its weights as Keras has them}"""
        return {self.first: [], **{name: layer.keras_weights() for name, layer in self.layers.items()}}

    def constrain(self):
        """Binary weights beyond one have no gradient; Keras's constraint leaves none there."""
        for layer in self.layers.values():
            if getattr(layer, "is_binary", False):
                layer.kernel.data.clamp_(-1, 1)


class Examples:
    """Batches of (waveforms, labels) as `zoo.pipeline.mixed_crops` makes them."""

    def __init__(self, job, samples):
        self.job = job
        clips = {name: torch.tensor(column, dtype=torch.int64, device=DEVICE) for name, column in job["clips"].items()}
        starts, ends = clips.pop("starts"), clips.pop("ends")
        self.clips, self.lengths = clips, ends - starts
        silence = torch.zeros(2 * job["num_samples"], device=DEVICE)  # as much as any crop reaches beyond its clip
        pieces = [piece for start, end in zip(starts, ends) for piece in (silence, samples[start:end])]
        self.samples = torch.cat([*pieces, silence])
        self.starts = torch.cumsum(self.lengths + len(silence), 0) - self.lengths
        self.window = torch.tensor(job["level_window"], device=DEVICE)
        self.weights = torch.tensor(job["level_weights"], device=DEVICE)

    def epoch(self, number):
        """Batches in which each clip comes once; the last one is filled with clips that come twice. All are new."""
        count, batch = len(self.lengths), self.job["plan"]["batch_size"]
        steps = -(-count // batch)
        laps = -(-steps * batch // count)
        order = torch.cat([torch.randperm(count, device=DEVICE) for _ in range(laps)])[: steps * batch]
        return map(self.batch, order.reshape(steps, batch))

    def batch(self, one):
        job, clips = self.job, self.clips
        draw = torch.rand((7, len(one)), device=DEVICE)
        label = functional.one_hot(clips["targets"], job["num_classes"]).float()
        gain = 10 ** (job["max_gain_db"] * (2 * draw[6] - 1) / 20)
        one_crop = self._crops(one, draw[1], draw[2])
        if job["mix"] == "none":
            return one_crop * gain[:, None], label[one]
        first_of, size_of = clips["first_of_kind"][one], clips["size_of_kind"][one]
        other = (draw[0] * (len(self.lengths) - size_of)).long()
        other = torch.where(other < first_of, other, other + size_of)
        other_crop = self._crops(other, draw[3], draw[4])
        ratio = draw[5][:, None]
        difference_db = self._level_db(one_crop) - self._level_db(other_crop)
        p = 1 / (1 + 10 ** (difference_db[:, None] / 20) * (1 - ratio) / ratio)
        mixed = (p * one_crop + (1 - p) * other_crop) / torch.sqrt(p**2 + (1 - p) ** 2)
        return mixed * gain[:, None], ratio * label[one] + (1 - ratio) * label[other]

    def _crops(self, clip, stretch, position):
        num_samples, padding = self.job["num_samples"], self.job["padding"]
        stretch = self.job["max_stretch"] ** (2 * stretch - 1)
        last = torch.clamp(torch.floor(self.lengths[clip] * stretch) + 2 * (padding - num_samples // 2), min=0)
        first = self.starts[clip] + torch.floor((torch.floor(position * (last + 1)) - padding) / stretch).long()
        end = first + 1 + torch.round((num_samples - 1) / stretch).long()
        # A slice each is many times as fast as one gathering of all, and its stretch as near as whole samples allow.
        slices = (self.samples[None, None, start:stop] for start, stop in zip(first.tolist(), end.tolist()))
        stretched = [functional.interpolate(one, num_samples, mode="linear", align_corners=True) for one in slices]
        return torch.cat(stretched)[:, 0]

    def _level_db(self, waveforms):
        frames = waveforms.unfold(1, len(self.window), len(self.window) // 2) * self.window
        loudest = (_power(frames) @ self.weights).amax(1)
        return 10 * torch.log10(loudest.clamp(min=1e-8))


class Packed:
    """The batches that a job was packed with, as many epochs of them as there are, again and again."""

    def __init__(self, job, folder):
        packed = job["packed"]
        self.crops, self.labels = (np.load(folder / packed[name], mmap_mode="r") for name in ("crops", "labels"))
        self.epochs = packed["epochs"]

    def epoch(self, number):
        """Those of an epoch, counted from 0."""
        steps = len(self.crops) // self.epochs
        first = number % self.epochs * steps
        for step in range(first, first + steps):
            batch = (held[step].astype(np.float32) for held in (self.crops, self.labels))
            yield tuple(torch.tensor(values, device=DEVICE) for values in batch)


def _power(frames, n_fft=None):
    spectrum = torch.fft.rfft(frames, n_fft)
    return spectrum.real.square() + spectrum.imag.square()


def columns(spec, waveforms):
    """What the backbone takes of waveforms (batch, samples). spec: what `on_device` makes of a job's."""
    if not spec:
        return waveforms[:, None, None]
    frames = waveforms.unfold(1, len(spec["window"]), spec["hop"]) * spec["window"]
    power = _power(frames, spec["n_fft"])
    mel = (power.sqrt() if spec["is_magnitude"] else power) @ spec["filterbank"]
    mel = mel + spec["offset"] if spec["offset"] else mel.clamp(min=spec["floor"])
    return (spec["unit"] * torch.log(mel / spec["zero_level"])).transpose(1, 2)[:, None]


def on_device(spec):
    """A `zoo.frontends.LogMel` as `tools.elsewhere` packs it, its arrays on the device; None of the waveform itself."""
    arrays = ("window", "filterbank")
    return spec and {**spec, **{name: torch.tensor(spec[name], device=DEVICE) for name in arrays}}


def optimizer_of(plan, parameters):
    if plan["optimizer"] == "adam":
        return torch.optim.AdamW(parameters, plan["learning_rate"], eps=1e-7, weight_decay=plan["weight_decay"])
    return torch.optim.SGD(
        parameters, plan["learning_rate"], plan["momentum"], weight_decay=plan["weight_decay"], nesterov=True
    )


def train(job, examples, until, kept, bfloat16):
    """{"weights", "history", "probe", "by"} of a job; None where it would not be done in time. kept: its checkpoint."""
    torch.manual_seed(job["seed"])
    job = {**job, "front_end": on_device(job["front_end"])}
    net = Net(job["config"], job["weights"]).to(DEVICE)
    optimizer, history = optimizer_of(job["plan"], net.parameters()), []
    if kept.exists():
        state = torch.load(kept, weights_only=False)
        net.load_state_dict(state["net"])
        optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["random"])
        history = state["history"]
    begun, first, saved = time.time(), len(history), time.time()
    for epoch, rate in enumerate(job["rates"][first:], start=first):
        for group in optimizer.param_groups:
            group["lr"] = rate
        history.append([*_epoch(net, optimizer, examples.epoch(epoch), job, bfloat16), rate])
        if epoch == first + TIMED:
            lap = (time.time() - begun) / (1 + TIMED)
            print(f"{job['name']}: {lap:.3f} s an epoch, {len(job['rates']) - epoch} left", flush=True)
            if time.time() + lap * (len(job["rates"]) - epoch) > until:
                return None
        if time.time() > saved + KEPT_EVERY_S:
            state = {"net": net.state_dict(), "optimizer": optimizer.state_dict(), "random": torch.get_rng_state()}
            torch.save({**state, "history": history}, kept.with_suffix(".unfinished"))
            kept.with_suffix(".unfinished").replace(kept)
            saved = time.time()
    weights = {name: [_half(weight) for weight in held] for name, held in net.keras_weights().items()}
    net = Net(job["config"], weights).to(DEVICE).eval()
    with torch.no_grad():
        probe = net(columns(job["front_end"], torch.tensor(job["probe"], device=DEVICE))).cpu().numpy()
    by = f"PyTorch {torch.__version__}, {'bfloat16' if bfloat16 else 'float32'}, {DEVICE}"
    return {"weights": weights, "history": history, "probe": probe, "by": by}


def _epoch(net, optimizer, batches, job, bfloat16):
    """(loss, accuracy) of an epoch. job: with its front end on the device."""
    net.train()
    found = []
    for waveforms, labels in batches:
        x = columns(job["front_end"], waveforms)
        with torch.autocast(DEVICE, torch.bfloat16, enabled=bfloat16):
            scores = net(x).clamp(1e-7, 1.0)
        target, taught = (labels, None) if labels.dim() == 2 else labels.unbind(1)
        loss = _loss(scores, target, taught, job)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        net.constrain()
        right = scores.argmax(1) == target.argmax(1)
        found.append((loss.item(), right.float().mean().item()))
    return np.mean(found, axis=0).tolist()


def _loss(scores, target, taught, job):
    """The divergence from the labels; where a teacher's scores stand beside them, as `zoo.compress.distill` has it."""
    from_labels = _divergence(target.clamp(1e-7, 1.0).log(), scores.log())
    if taught is None:
        return from_labels
    alpha, temperature = job["packed"]["alpha"], job["packed"]["temperature"]
    taught, tempered = (torch.log_softmax(held.clamp(min=1e-7).log() / temperature, 1) for held in (taught, scores))
    return (1 - alpha) * temperature**2 * _divergence(taught, tempered) + alpha * from_labels


def _divergence(log_target, log_scores):
    return (log_target.exp() * (log_target - log_scores)).sum(1).mean()


def _half(weight):
    """Half as many bytes, where no number is too large for it."""
    half = weight.astype(np.float16)
    return half if np.isfinite(half).all() else weight


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("results", type=Path)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--bfloat16", action="store_true", help="products of 16 bits; scores and weights stay of 32")
    args = parser.parse_args()
    args.results.mkdir(parents=True, exist_ok=True)
    begun, done, sounds = time.time(), {}, {}
    jobs = pickle.loads((args.folder / "jobs.pickle").read_bytes())
    for job in jobs:
        if job["samples"] not in sounds:
            sound, _ = soundfile.read(args.folder / job["samples"], dtype="int16")
            sounds = {job["samples"]: torch.tensor(sound / np.float32(FULL_SCALE), device=DEVICE)}
        before = time.time()
        kept = args.results / f"{job['name'].replace('/', '+')}.kept"
        examples = Packed(job, args.folder) if "packed" in job else Examples(job, sounds[job["samples"]])
        result = train(job, examples, begun + args.seconds, kept, args.bfloat16)
        if result:
            done[job["name"]] = result
            loss, accuracy, _ = result["history"][-1]
            print(f"{job['name']}: {time.time() - before:.1f} s, loss {loss:.3f}, accuracy {accuracy:.3f}", flush=True)
            _write(done, args.results)
            kept.unlink(missing_ok=True)
    print(f"{len(done)} of {len(jobs)} jobs in {time.time() - begun:.0f} s", flush=True)


def _write(done, folder):
    packed = pickle.dumps(done)
    for part, start in enumerate(range(0, len(packed), PART_BYTES)):
        (folder / f"results.{part}").write_bytes(packed[start : start + PART_BYTES])


if __name__ == "__main__":
    main()
