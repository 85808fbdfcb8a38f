"""The verbs: one file a step of the recipe, each reading as the paper's paragraph.

Stages do not import each other; what they share is below them. A step is a function of a
`StepContext` that returns the row counts for the manifest.
"""
