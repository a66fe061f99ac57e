//! Composition root: builds every part from checked settings and owns every task.
