"""From latent vectors to designs: which are promising, how they are decoded, cut, judged and previewed."""
