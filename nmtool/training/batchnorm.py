def recalibrate(student, batches, trials, scale): raise NotImplementedError
