"""Tiny checkpoints with random weights in the hub's file layout: ViT, WavLM with x-vector head, CLIP, RoBERTa."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

WORDS = 40


def make(folder: Path) -> dict[str, Path]:
    """All four in a folder, by name; the same weights every time."""
    import transformers as hf

    torch.manual_seed(0)
    small: dict[str, Any] = {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
    }
    vit = hf.ViTModel(hf.ViTConfig(**small, image_size=32, patch_size=16))
    speech = hf.WavLMForXVector(
        hf.WavLMConfig(
            **small,
            conv_dim=(8, 8),
            conv_stride=(20, 16),
            conv_kernel=(20, 16),
            num_conv_pos_embeddings=4,
            num_conv_pos_embedding_groups=2,
            tdnn_dim=(8, 8, 8, 8, 24),
            xvector_output_dim=12,
        )
    )
    text = {**small, "vocab_size": WORDS, "max_position_embeddings": 64, "eos_token_id": 2, "bos_token_id": 0}
    look = hf.CLIPModel(
        hf.CLIPConfig(text_config=text, vision_config={**small, "image_size": 32, "patch_size": 16}, projection_dim=8)
    )
    roberta = hf.RobertaModel(hf.RobertaConfig(**small, vocab_size=WORDS, max_position_embeddings=64, pad_token_id=1))
    models = {"vit": vit, "wavlm": speech, "clip": look, "roberta": roberta}
    for name, model in models.items():
        model.save_pretrained(folder / name)
    half = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    write(folder / "vit", {"size": {"height": 32, "width": 32}, "resample": 2, **half})
    write(folder / "clip", {"size": {"shortest_edge": 32}, "do_center_crop": True, "crop_size": 32, "resample": 3})
    hf.Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder / "wavlm")
    for name in ("clip", "roberta"):
        tokenizer().save_pretrained(folder / name)
    return {name: folder / name for name in models}


def write(folder: Path, settings: dict[str, Any]) -> None:
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))


def tokenizer() -> Any:
    """Letters as tokens."""
    import tokenizers
    import transformers as hf

    special = ["<s>", "<pad>", "</s>", "<unk>"]
    vocabulary = {token: number for number, token in enumerate([*special, *"abcdefghijklmnopqrstuvwxyz "])}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="<unk>"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Split("", "isolated")
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return hf.PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>"
    )
