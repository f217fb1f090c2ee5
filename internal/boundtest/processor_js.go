package boundtest

import "time"

var began = time.Now()

// processorTime is the time that has passed: a page has one thread, and nobody tells it what
// that had of the processor.
func processorTime() time.Duration { return time.Since(began) }
