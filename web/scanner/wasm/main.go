//go:build js

// The program wasm is the verifier of the scanner page, compiled for the browser. It
// runs in a worker of the page and answers calls of one function,
//
//	sanad(operation, ...arguments) -> text of a JSON document
//
// which never throws: what goes wrong is {"error": "..."}. The operations are those of
// package engine: restore, memory, import, check, tell, choose, trust and those of the counter
// (desk.go); the second argument is always the language.
package main

import (
	"encoding/json"
	"fmt"
	"syscall/js"
	"time"

	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/qr"
	"github.com/sanad-id/sanad/trust"
	"github.com/sanad-id/sanad/verification"
	"github.com/sanad-id/sanad/web/scanner/engine"
)

func main() {
	e := engine.New(clock)
	e.Zone(time.Local) // the browser's
	js.Global().Set("sanad", js.FuncOf(func(_ js.Value, args []js.Value) any { return answer(e, args) }))
	select {} // the page ends it
}

// clock is the browser's.
func clock() time.Time {
	return time.UnixMilli(int64(js.Global().Get("Date").Call("now").Float())).UTC()
}

// answer runs an operation. A fault in it must not end the program, or the page would
// hang at the next scan.
func answer(e *engine.Engine, args []js.Value) (out string) {
	defer func() {
		if v := recover(); v != nil {
			out = document(map[string]string{"error": fmt.Sprint("internal error: ", v)})
		}
	}()
	v, err := run(e, args)
	if err != nil {
		return document(map[string]string{"error": err.Error()})
	}
	return document(v)
}

func document(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return `{"error": "internal error: no JSON"}`
	}
	return string(b)
}

func run(e *engine.Engine, args []js.Value) (any, error) {
	text := func(i int) string {
		if i < len(args) && args[i].Type() == js.TypeString {
			return args[i].String()
		}
		return ""
	}
	words := i18n.For(text(1))
	switch text(0) {
	case "restore":
		mark, err := data(args, 2, 64<<10)
		if err != nil {
			return nil, err
		}
		bundle, err := data(args, 3, trust.MaxFile)
		if err != nil {
			return nil, err
		}
		if err := e.Restore(mark, bundle); err != nil {
			return nil, err
		}
		return e.Trust(words), nil
	case "memory":
		mark, bundle := e.Memory()
		return map[string][]byte{"mark": mark, "bundle": bundle}, nil
	case "import":
		file, err := data(args, 2, trust.MaxFile)
		if err != nil {
			return nil, err
		}
		return e.Import(file, text(3), words), nil
	case "check":
		input, err := data(args, 2, verification.MaxInput)
		if err != nil {
			return nil, err
		}
		return e.Check(input, words, text(3) == "sensitive")
	case "tell":
		page, ok := e.Tell(words, text(2) == "sensitive")
		return map[string]any{"page": page, "ok": ok}, nil
	case "forget":
		e.Forget()
		return map[string]any{}, nil
	case "choose":
		var codes []string
		if err := json.Unmarshal([]byte(text(2)), &codes); err != nil {
			return nil, err
		}
		chosen, ignored, _ := qr.Choose(codes)
		return map[string]any{"text": chosen, "ignored": ignored}, nil
	case "trust":
		return e.Trust(words), nil
	}
	return desk(e, text, args)
}

// data is the argument number i, a Uint8Array, up to a limit and one byte more, so that
// the rules can tell what is too large.
func data(args []js.Value, i int, limit int) ([]byte, error) {
	if i >= len(args) || !args[i].InstanceOf(js.Global().Get("Uint8Array")) {
		return nil, fmt.Errorf("argument %d is no Uint8Array", i)
	}
	length := min(args[i].Length(), limit+1)
	b := make([]byte, length)
	js.CopyBytesToGo(b, args[i].Call("subarray", 0, length))
	return b, nil
}
