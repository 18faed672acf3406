"""Feature streams of a corpus: extracted once, kept in one store, read by models of many streams."""
