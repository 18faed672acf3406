"""VideoMAE, MAE-DFER and SVFAP by their specifications: plain products over tensors of published names, in float64."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from tests.parity.reference.weights import Weights, attend, gelu, layer_norm, linear, sines, up_in_time
from torch import Tensor
from torch.nn import functional as F

Given = Mapping[str, Any]
Seen = dict[str, Tensor]


def embedded(w: Weights, given: Given, video: Tensor, dim: int, prefix: str = "") -> Tensor:
    """Tubelets through a convolution with stride = kernel, in the order slice, row, column."""
    cut = (given.get("tubelet_size", 2), given["patch_size"], given["patch_size"])
    kernel = w(f"{prefix}patch_embed.proj.weight", dim, video.shape[1], *cut)
    return F.conv3d(video, kernel, w(f"{prefix}patch_embed.proj.bias", dim), cut).flatten(2).transpose(1, 2)


def positions(w: Weights, given: Given, count: int, dim: int) -> Tensor:
    return w("pos_embed", 1, count, dim) if given.get("use_learnable_pos_emb") else sines(count, dim)


def queries(w: Weights, name: str, product: Tensor, bias: str, given: Given) -> Tensor:
    return product + w(f"{name}.{bias}", product.shape[-1]) if given.get("qkv_bias") else product


def packed(w: Weights, name: str, x: Tensor, heads: int, given: Given) -> Tensor:
    """Self-attention of one matrix for queries, keys and values; keys have no bias."""
    dim = x.shape[-1]
    q, k, v = linear(w, f"{name}.qkv", x, 3 * dim, bias=False).split(dim, -1)
    q, v = queries(w, name, q, "q_bias", given), queries(w, name, v, "v_bias", given)
    return linear(w, f"{name}.proj", attend(q, k, v, heads, given.get("qk_scale"))[0], dim)


def crossed(w: Weights, name: str, x: Tensor, context: Tensor, heads: int, given: Given) -> Tensor:
    """Attention to another set: keys are the first rows of ``kv``."""
    dim = x.shape[-1]
    q = queries(w, name, linear(w, f"{name}.q", x, dim, bias=False), "q_bias", given)
    k, v = linear(w, f"{name}.kv", context, 2 * dim, bias=False).split(dim, -1)
    v = queries(w, name, v, "v_bias", given)
    return linear(w, f"{name}.proj", attend(q, k, v, heads, given.get("qk_scale"))[0], dim)


def mlp(w: Weights, name: str, x: Tensor, given: Given) -> Tensor:
    dim = x.shape[-1]
    return linear(w, f"{name}.fc2", gelu(linear(w, f"{name}.fc1", x, int(dim * given.get("mlp_ratio", 4)))), dim)


def scaled(w: Weights, name: str, x: Tensor, given: Given) -> Tensor:
    return w(name, x.shape[-1]) * x if given.get("init_values") else x


def block(w: Weights, name: str, x: Tensor, heads: int, given: Given) -> Tensor:
    """A plain block."""
    eps = given["norm_eps"]
    attended = packed(w, f"{name}.attn", layer_norm(w, f"{name}.norm1", x, eps), heads, given)
    x = x + scaled(w, f"{name}.gamma_1", attended, given)
    wide = mlp(w, f"{name}.mlp", layer_norm(w, f"{name}.norm2", x, eps), given)
    return x + scaled(w, f"{name}.gamma_2", wide, given)


def reading(w: Weights, name: str, x: Tensor, y: Tensor, heads: int, given: Given) -> Tensor:
    """SVFAP's block that reads a context first."""
    eps = given["norm_eps"]
    own, other = layer_norm(w, f"{name}.cross_norm1", x, eps), layer_norm(w, f"{name}.cross_norm2", y, eps)
    x = x + scaled(w, f"{name}.gamma_0", crossed(w, f"{name}.cross_attn", own, other, heads, given), given)
    return block(w, name, x, heads, given)


def pyramid(
    w: Weights,
    given: Given,
    x: Tensor,
    slices: int,
    heads: int,
    seen: Seen,
    prefix: str = "",
    leaked: Tensor | None = None,
) -> list[Tensor]:
    """Outputs of SVFAP's stages; ``leaked`` is what released pretraining reads in place of the bottleneck."""
    eps, index = given["norm_eps"], 0
    for _ in range(given["stage_depths"][0]):
        x = block(w, f"{prefix}blocks.{index}", x, heads, given)
        index += 1
    outputs, seen["stage1_output_tokens"] = [x], x
    kernel, dim = given.get("temporal_kernel_size", 2), x.shape[-1]
    counts = list(given.get("num_bottleneck_tokens", [8]))
    for stage, depth in enumerate(given["stage_depths"][1:]):
        weight = w(f"{prefix}temporal_downsamples.{stage}.weight", dim, dim, kernel)
        bias = w(f"{prefix}temporal_downsamples.{stage}.bias", dim)
        places = x.shape[1] // slices
        rows = x.unflatten(1, (slices, places))
        slices //= kernel
        steps = [sum(rows[:, i * kernel + k] @ weight[:, :, k].T for k in range(kernel)) + bias for i in range(slices)]
        full = torch.cat(steps, 1)
        name = f"{prefix}spatial_downsamples.{stage}"
        count = counts[stage] if len(counts) > 1 else counts[0]
        gathered = []
        for step in steps:
            hidden = gelu(linear(w, f"{name}.mlp.fc1", layer_norm(w, f"{name}.norm", step, eps), 128))
            scores = linear(w, f"{name}.mlp.fc2", hidden, count)
            gathered.append(torch.einsum("bsg,bsc->bgc", scores.softmax(1), step))
        few = torch.cat(gathered, 1)
        seen[f"stage{stage + 2}_tokens_after_temporal_conv"] = full
        seen[f"stage{stage + 2}_initial_bottleneck_tokens"] = few
        for _ in range(depth - 1):
            few = reading(w, f"{prefix}blocks.{index}", few, full, heads, given)
            index += 1
        seen[f"stage{stage + 2}_final_bottleneck_tokens"] = few
        x = reading(w, f"{prefix}blocks.{index}", full, few if leaked is None else leaked, heads, given)
        index += 1
        outputs.append(x)
        seen[f"stage{stage + 2}_output_tokens"] = x
    return outputs


def regions_of(given: Given, grid: tuple[int, int, int]) -> list[list[int]]:
    """Flat indices of the tokens of every region, in their order."""
    t, h, w = given["lg_region_size"]
    found: dict[tuple[int, int, int], list[int]] = {}
    for index in range(grid[0] * grid[1] * grid[2]):
        row, column = divmod(index, grid[2])
        found.setdefault((row // grid[1] // t, row % grid[1] // h, column // w), []).append(index)
    return [found[key] for key in sorted(found)]


def shared_steps(given: Given) -> list[str]:
    """Steps of a block that have one attention in common, in the order of their names in a file."""
    there = ["first", *(step for step in ("second", "third") if not given.get(f"lg_no_{step}"))]
    if given.get("lg_attn_param_sharing_all"):
        return there
    both = given.get("lg_attn_param_sharing_first_third") and "third" in there
    return ["first", "third"] if both else []


def local_global(w: Weights, name: str, x: Tensor, heads: int, given: Given) -> Tensor:
    """A block of LGI-Former on ``(B, n, 1 + S, C)``, region token first."""
    eps, (clips, n, own, _) = given["norm_eps"], x.shape
    third = not given.get("lg_no_third", False)
    shared = shared_steps(given)

    def attention(step: str, query: Tensor, context: Tensor) -> Tensor:
        # shared weights stand under every alias, and the last alias of a file is the one that counts
        last = f"{name}.{shared[-1] if step in shared else step}_attn"
        result = crossed(w, last, query, context, heads, given)
        for key in [key for key in w.made if key.startswith(f"{last}.")]:
            w.made[key.replace(last, f"{name}.{step}_attn")] = w.made[key]
        return result

    def norm(which: str, value: Tensor) -> Tensor:
        return layer_norm(w, f"{name}.{which}", value, eps)

    flat = x.flatten(0, 1)
    if given.get("lg_first_attn_type", "self") == "self":
        inner = norm("first_attn_norm0", flat)
        flat = flat + attention("first", inner, inner)
    else:
        token, rest = flat[:, :1], flat[:, 1:]
        read = attention("first", norm("first_attn_norm0", token), norm("first_attn_norm1", rest))
        flat = torch.cat((token + read, rest), 1)
    x = flat.unflatten(0, (clips, n))
    means, tokens = x[:, :, 0], x[:, :, 1:]
    if not given.get("lg_no_second", False):
        inner = norm("second_attn_norm0", means)
        means = means + attention("second", inner, inner)
    if third and given.get("lg_third_attn_type", "cross") == "cross":
        long = tokens.flatten(1, 2)
        read = attention("third", norm("third_attn_norm0", long), norm("third_attn_norm1", means))
        tokens = (long + read).unflatten(1, (n, own - 1))
    x = torch.cat((means[:, :, None], tokens), 2)
    if third and given.get("lg_third_attn_type", "cross") == "self":
        flat = x.flatten(0, 1)
        inner = norm("third_attn_norm0", flat)
        x = (flat + attention("third", inner, inner)).unflatten(0, (clips, n))
    return x + mlp(w, f"{name}.mlp", layer_norm(w, f"{name}.norm2", x, eps), given)


def read_out(w: Weights, given: Given, tokens: Tensor, grid: tuple[int, int, int], seen: Seen, name: str) -> Tensor:
    """Feature, head and activation; one answer per frame with ``keep_temporal_dim``."""
    eps = given["norm_eps"]
    if given.get("keep_temporal_dim"):
        slices = tokens.unflatten(1, (grid[0], -1)).mean(2)
        feature = layer_norm(w, "fc_norm", up_in_time(slices, given.get("tubelet_size", 2)), eps)
    elif given.get("use_mean_pooling", True):
        feature = layer_norm(w, "fc_norm", tokens.mean(1), eps)
    else:
        feature = layer_norm(w, "norm", tokens, eps)[:, 0]
    seen[name] = feature
    logits = linear(w, "head", feature, given["num_classes"])
    active: Callable[[Tensor], Tensor] = {
        "sigmoid": torch.sigmoid, "relu": torch.relu, "tanh": torch.tanh
    }.get(given.get("head_activation_func"), lambda x: x)  # fmt: skip
    return active(logits).flatten(1)


def finetuned(w: Weights, given: Given, video: Tensor, seen: Seen) -> Tensor:
    """VideoMAE and MAE-DFER."""
    dim, heads, depth = given["embed_dim"], given["num_heads"], given["depth"]
    x = embedded(w, given, video, dim)
    seen["patch tokens before position encoding (B,N,C)"] = x
    grid = (video.shape[2] // given.get("tubelet_size", 2), *(side // given["patch_size"] for side in video.shape[3:]))
    x = x + positions(w, given, x.shape[1], dim)
    if given.get("attn_type", "joint") == "joint":
        for i in range(depth):
            x = block(w, f"blocks.{i}", x, heads, given)
            seen[f"output of block {i} (B,N,C)"] = x
    else:
        cut = torch.stack([x[:, members] for members in regions_of(given, grid)], 1)
        own = w("lg_region_tokens", cut.shape[1], dim)
        x = torch.cat((own.expand(len(x), -1, -1)[:, :, None], cut), 2)
        for i in range(depth):
            x = local_global(w, f"blocks.{i}", x, heads, given)
            seen[f"output of block {i} (B*regions, 1+tokens, C)"] = x.flatten(0, 1)
        kind = given.get("lg_classify_token_type", "org")
        x = {"region": x[:, :, 0], "org": x[:, :, 1:].flatten(1, 2), "all": x.flatten(1, 2)}[kind]
    return read_out(w, given, x, grid, seen, "pooled feature after final norm, before head")


def svfap(w: Weights, given: Given, video: Tensor, seen: Seen) -> Tensor:
    """SVFAP in fine-tuning."""
    dim, slices = given["embed_dim"], video.shape[2] // given.get("tubelet_size", 2)
    x = embedded(w, given, video, dim)
    x = x + positions(w, given, x.shape[1], dim)
    seen["tokens_after_patch_embedding_plus_position"] = x
    x = pyramid(w, given, x, slices, given["num_heads"], seen)[-1]
    grid = (slices, *(side // given["patch_size"] for side in video.shape[3:]))
    return read_out(w, given, x, grid, seen, "pooled_feature_before_head")


def decoded(w: Weights, given: Given, x: Tensor, masks: Tensor, seen: Seen) -> Tensor:
    """Masked tokens (true in ``masks``, (B, N)) from encoded visible ones, which stand first and in raster order."""
    width, eps = given.get("decoder_embed_dim", 512), given["norm_eps"]
    table = sines(masks.shape[1], width)
    x = linear(w, "encoder_to_decoder", x, width, bias=False)
    seen["encoder_to_decoder_output"] = seen["after projection to decoder width (B,Nvis,Cd)"] = x
    token = w("mask_token", 1, 1, width)
    rows = [torch.cat((x[b] + table[~mask], token[0] + table[mask])) for b, mask in enumerate(masks)]
    x = torch.stack(rows)
    seen["decoder_input"] = seen["decoder input: visible then mask tokens, positions added (B,N,Cd)"] = x
    for i in range(given.get("decoder_depth", 8)):
        x = block(w, f"decoder.blocks.{i}", x, given.get("decoder_num_heads", 8), given)
    x = layer_norm(w, "decoder.norm", x[:, -int(masks[0].sum()) :], eps)
    return linear(w, "decoder.head", x, 3 * given.get("tubelet_size", 2) * given["patch_size"] ** 2)


def visible_tokens(w: Weights, given: Given, video: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Embedded tokens with positions, all and the visible ones."""
    dim = given["encoder_embed_dim"]
    x = embedded(w, given, video, dim, "encoder.")
    x = x + sines(x.shape[1], dim)
    return x, torch.stack([clip[~mask] for clip, mask in zip(x, masks, strict=True)])


def pretrained(w: Weights, given: Given, video: Tensor, masks: Tensor, seen: Seen) -> Tensor:
    """VideoMAE and MAE-DFER in pretraining, the latter with its visible tokens left in the order of regions."""
    heads, slices = given["encoder_num_heads"], video.shape[2] // given.get("tubelet_size", 2)
    _, x = visible_tokens(w, given, video, masks)
    if given.get("attn_type", "joint") == "joint":
        for i in range(given["encoder_depth"]):
            x = block(w, f"encoder.blocks.{i}", x, heads, given)
            seen[f"encoder block {i} output"] = x
    else:
        t, h, wide = given["lg_region_size"]
        pieces = (video.shape[3] // given["patch_size"] // h) * (video.shape[4] // given["patch_size"] // wide)
        by_slice = x.unflatten(1, (slices // t, t, pieces, -1))
        cut = by_slice.transpose(2, 3).flatten(3, 4).flatten(1, 2)
        own = w("encoder.lg_region_tokens", cut.shape[1], x.shape[-1])
        x = torch.cat((own.expand(len(x), -1, -1)[:, :, None], cut), 2)
        for i in range(given["encoder_depth"]):
            x = local_global(w, f"encoder.blocks.{i}", x, heads, given)
            seen[f"encoder block {i} output"] = x.flatten(0, 1)
        x = x[:, :, 1:].flatten(1, 2)
    x = layer_norm(w, "encoder.norm", x, given["norm_eps"])
    seen["encoder output, visible tokens (B,Nvis,C)"] = x
    return decoded(w, given, x, masks, seen)


def svfap_pretrained(w: Weights, given: Given, video: Tensor, masks: Tensor, seen: Seen, released: bool) -> Tensor:
    """SVFAP in pretraining: the sum of its stages, by the paper or as released."""
    slices, kernel = video.shape[2] // given.get("tubelet_size", 2), given.get("temporal_kernel_size", 2)
    everything, x = visible_tokens(w, given, video, masks)
    seen["visible_tokens_with_position"] = x
    heads = given["encoder_num_heads"]
    outputs = pyramid(w, given, x, slices, heads, seen, "encoder.", everything if released else None)
    total = outputs[0]
    for stage, output in enumerate(outputs[1:], start=1):
        rows = slices // kernel ** (stage - 1 if released else stage)
        total = total + output.unflatten(1, (rows, -1)).repeat_interleave(kernel**stage, 1).flatten(1, 2)
    seen["multiscale_sum_before_norm"] = total
    x = layer_norm(w, "encoder.norm", total, given["norm_eps"])
    seen["encoder_output"] = x
    return decoded(w, given, x, masks, seen)
