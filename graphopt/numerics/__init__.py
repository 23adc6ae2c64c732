"""What a rewrite may do to the numbers, and how that is checked.

contract    what is promised: `Exact`, `Close(k)`, `Lossy(metric, floor)`, `Judged`
compare     whether two lists of outputs keep a contract
domains     which values an input may take, told by the operators that read it
feeds       seeded inputs out of those domains
run         reference execution in ONNX Runtime, and the check of a pair of models
worker      the same in a process that may crash or hang without harm
"""
