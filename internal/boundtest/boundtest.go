// Package boundtest holds every parser to promise P16: no input of up to 1 MiB costs more than
// 64 MiB of memory and 100 ms of processor time.
//
// A fuzz target begins with [Fuzz] in place of f.Fuzz. Its body then runs within the bounds for
// all that the fuzzer finds, and, when its seeds run as a test, for a family of large inputs as
// well: the table in families.go, and the first seeds grown to 1 MiB.
//
// For tests only.
package boundtest

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"runtime/metrics"
	"slices"
	"testing"
	"time"
)

// The bounds of promise P16. What a parse allocates is counted as a whole, whether or not it
// is given back meanwhile: never less than it holds at any moment.
const (
	MaxInput  = 1 << 20                // bytes
	MaxMemory = 64 << 20               // bytes
	MaxTime   = 100 * time.Millisecond // of the processor
)

// tries is how often an input that was too slow is tried; the fastest try counts, since others
// may use the machine.
const tries = 5

// At every change the first seed of a target is grown, and of the large inputs every fourth is
// tried, so that each family comes in one of the sizes at least. At night all are.
const (
	grownSeeds = 1
	every      = 4
)

// Fuzz is f.Fuzz for a body within the bounds. The time of a body is judged as it is at
// night; at every change, under the fuzzer, and under the race detector only what takes ten times
// too long fails, as what grows with the square of its input does.
func Fuzz(f *testing.F, body any) {
	f.Helper()
	FuzzParses(f, 1, body)
}

// FuzzParses is [Fuzz] for a body that parses its input n times, by several functions or again to
// compare, or does other work besides: it may cost n times as much, and at every change is tried
// with fewer inputs.
func FuzzParses(f *testing.F, n int, body any) {
	f.Helper()
	call := reflect.ValueOf(body)
	limits := limitsOf(n)
	seeds := 0
	f.Fuzz(reflect.MakeFunc(call.Type(), func(args []reflect.Value) []reflect.Value {
		t := args[0].Interface().(*testing.T)
		limits.hold(t, "this input", func() { call.Call(args) })
		seeds++
		if fuzzing() || testing.Short() || seeds > grownSeeds && !soak {
			return nil
		}
		for at, size := range sizes {
			for i, arg := range args[1:] {
				if !isText(arg) {
					continue
				}
				all := grown(size, bytesOf(arg))
				if seeds == 1 {
					all = append(all, fixed(size)...)
				}
				for k, in := range all {
					if (k+at)%(n*every) != 0 && !soak {
						continue
					}
					text, large := in.text(), slices.Clone(args)
					large[i+1] = reflect.ValueOf(text).Convert(arg.Type())
					limits.hold(t, fmt.Sprintf("%s, %d bytes", in.name, len(text)), func() { call.Call(large) })
				}
			}
		}
		return nil
	}).Interface())
}

var soak = os.Getenv("SANAD_SOAK") == "1"

// fuzzing reports whether the fuzzer makes the inputs; the code is then slower than it is.
func fuzzing() bool {
	pattern := flag.Lookup("test.fuzz")
	return pattern != nil && pattern.Value.String() != ""
}

func isText(v reflect.Value) bool {
	return v.Kind() == reflect.String || v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8
}

func bytesOf(v reflect.Value) []byte {
	return v.Convert(reflect.TypeFor[[]byte]()).Bytes()
}

// limits is what one run of a body may cost.
type limits struct {
	memory uint64
	time   time.Duration
}

func limitsOf(parses int) limits {
	l := limits{memory: uint64(parses) * MaxMemory, time: time.Duration(parses) * MaxTime}
	if !soak || fuzzing() {
		l.time *= 10
	}
	return l
}

// hold runs parse, and fails t if it breaks a limit or t. It says for which input.
func (l limits) hold(t testing.TB, input string, parse func()) {
	before := t.Failed()
	defer func() {
		if t.Failed() && !before {
			t.Logf("the input is %s", input)
		}
	}()
	c := measure(parse)
	for n := 1; n < tries && c.time > l.time; n++ {
		c.time = min(c.time, measure(parse).time)
	}
	if c.memory > l.memory {
		t.Errorf("allocates %.1f MiB, allowed are %d", float64(c.memory)/(1<<20), l.memory>>20)
	}
	if c.time > l.time {
		t.Errorf("takes %v, allowed are %v", c.time, l.time)
	}
}

type cost struct {
	memory uint64        // bytes allocated
	time   time.Duration // of the processor, all threads
}

func measure(parse func()) cost {
	memory, began := allocated(), processorTime()
	parse()
	return cost{memory: allocated() - memory, time: processorTime() - began}
}

// allocated is the number of bytes that were ever allocated on the heap.
func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
