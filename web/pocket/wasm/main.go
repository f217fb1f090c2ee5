//go:build js

// The program wasm is the pocket page's engine, compiled for the browser with the build
// tag pocket. It runs in a worker of the page and answers calls of one function,
//
//	sanad(operation, language, ...arguments) -> promise of the text of a JSON document
//
// one after the other. What goes wrong is {"problem": {...}} in the reader's words. The
// operations are the cases of run.
//
// The worker gives it what a browser has (page/keep.js) as one object, device:
//
//	fetch({address, type, header, body}) -> promise of {status, type, header, body}
//	newKey() -> promise of {id, jwk}, sign(id, bytes) -> promise of 64 bytes
//	put(kind, id, bytes), remove(kind, id), all(kind) -> promise, of [[id, bytes], ...]
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"syscall/js"
	"time"

	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/qr/image"
	"github.com/sanad-id/sanad/trust"
	"github.com/sanad-id/sanad/wallet"
	"github.com/sanad-id/sanad/web/pocket/engine"
)

func main() {
	p := &program{device: js.Global().Get("device")}
	js.Global().Set("sanad", js.FuncOf(func(_ js.Value, args []js.Value) any {
		answered := js.FuncOf(nil)
		answered = js.FuncOf(func(_ js.Value, settle []js.Value) any {
			answered.Release()
			go func() { settle[0].Invoke(p.answer(args)) }()
			return nil
		})
		return js.Global().Get("Promise").New(answered)
	}))
	select {} // the page ends it
}

// program is the page's engine with what the browser gives it.
type program struct {
	device js.Value
	turn   sync.Mutex
	engine *engine.Engine
}

// answer runs an operation. A fault in it must not end the program, or the page would
// hang from then on.
func (p *program) answer(args []js.Value) (out string) {
	p.turn.Lock()
	defer p.turn.Unlock()
	l := i18n.For(text(args, 1))
	defer func() {
		if v := recover(); v != nil {
			out = problem(fmt.Errorf("internal error: %v", v), l)
		}
	}()
	v, err := p.run(context.Background(), args, l)
	if err != nil {
		return problem(err, l)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return problem(err, l)
	}
	return string(b)
}

func problem(err error, l i18n.Language) string {
	b, wrong := json.Marshal(map[string]any{"problem": engine.Explain(err, l)})
	if wrong != nil {
		return `{"problem": {"code": "internal", "sentence": "internal error"}}`
	}
	return string(b)
}

func text(args []js.Value, i int) string {
	if i < len(args) && args[i].Type() == js.TypeString {
		return args[i].String()
	}
	return ""
}

// done is the answer of operations that have none.
var done = struct{}{}

func (p *program) run(ctx context.Context, args []js.Value, l i18n.Language) (any, error) {
	e := p.engine
	operation := text(args, 0)
	if e == nil && operation != "begin" {
		return nil, errors.New("the engine has not begun")
	}
	two := func() string { return text(args, 2) }
	switch operation {
	case "begin":
		var err error
		p.engine, err = engine.New(engine.Config{
			Memory: memory{p.device}, Sender: network{p.device}, Keys: keyring{p.device}, Draw: draw, LoopbackHTTP: two() == "loopback",
			Now: func() time.Time { return time.UnixMilli(int64(js.Global().Get("Date").Call("now").Float())).UTC() },
		})
		return done, err
	case "trust":
		file, err := data(args, 2, trust.MaxFile)
		if err != nil {
			return nil, err
		}
		changed, err := e.Trust(file, text(args, 3))
		return map[string]bool{"changed": changed}, err
	case "home":
		return e.Home(l)
	case "offer":
		return e.Offer(ctx, two(), l)
	case "accept":
		return e.Accept(ctx, two(), text(args, 3) == "knowing")
	case "poll":
		return e.Poll(ctx)
	case "view":
		return e.View(two(), l)
	case "show":
		var s engine.Show
		if err := json.Unmarshal([]byte(two()), &s); err != nil {
			return nil, err
		}
		return e.Show(s, l)
	case "redraw":
		return e.Redraw()
	case "stop":
		e.Stop()
		return done, nil
	case "question":
		return e.Question(two(), l)
	case "answer":
		return e.Answer(two() == "knowing", l)
	case "ask":
		return done, e.Ask(ctx, two())
	case "log":
		return e.Log(l)
	case "delete":
		return done, e.Delete(two())
	case "export":
		return e.Export(two())
	case "import":
		return e.Import(two(), text(args, 3))
	case "profile":
		switch name := text(args, 3); two() {
		case "add":
			return done, e.AddProfile(name)
		case "name":
			return done, e.NameProfile(name)
		case "use":
			return done, e.UseProfile(name)
		case "delete":
			return done, e.DeleteProfile()
		}
	}
	return nil, fmt.Errorf("no operation %.32q", operation)
}

// draw draws a code as SVG.
func draw(text string) (string, int, error) {
	c, err := image.Draw(text, image.L)
	if errors.Is(err, image.ErrTooLong) {
		return "", 0, engine.ErrTooLong
	}
	if err != nil {
		return "", 0, err
	}
	return string(c.SVG()), c.Size() + 2*image.QuietZone, nil
}

// await waits for a promise.
func await(promise js.Value) (js.Value, error) {
	type settled struct {
		value js.Value
		err   error
	}
	c := make(chan settled, 1)
	good := js.FuncOf(func(_ js.Value, args []js.Value) any { c <- settled{value: args[0]}; return nil })
	bad := js.FuncOf(func(_ js.Value, args []js.Value) any {
		c <- settled{err: errors.New(args[0].Call("toString").String())}
		return nil
	})
	defer good.Release()
	defer bad.Release()
	promise.Call("then", good, bad)
	s := <-c
	return s.value, s.err
}

// data is the argument number i, a Uint8Array.
func data(args []js.Value, i int, limit int) ([]byte, error) {
	if i >= len(args) {
		return nil, fmt.Errorf("there is no argument %d", i)
	}
	return bytesOf(args[i], limit)
}

// bytesOf is a Uint8Array, up to a limit and one byte more, so that the rules can tell
// what is too large.
func bytesOf(v js.Value, limit int) ([]byte, error) {
	if !v.InstanceOf(js.Global().Get("Uint8Array")) {
		return nil, errors.New("no Uint8Array")
	}
	length := min(v.Length(), limit+1)
	b := make([]byte, length)
	js.CopyBytesToGo(b, v.Call("subarray", 0, length))
	return b, nil
}

func array(b []byte) js.Value {
	v := js.Global().Get("Uint8Array").New(len(b))
	js.CopyBytesToJS(v, b)
	return v
}

// memory is IndexedDB.
type memory struct{ device js.Value }

func (m memory) Put(kind, id string, b []byte) error {
	_, err := await(m.device.Call("put", kind, id, array(b)))
	return err
}

func (m memory) Delete(kind, id string) error {
	_, err := await(m.device.Call("remove", kind, id))
	return err
}

func (m memory) All(kind string) (map[string][]byte, error) {
	v, err := await(m.device.Call("all", kind))
	if err != nil {
		return nil, err
	}
	out := map[string][]byte{}
	for i := range v.Length() {
		b, err := bytesOf(v.Index(i).Index(1), trust.MaxFile)
		if err != nil {
			return nil, err
		}
		out[v.Index(i).Index(0).String()] = b
	}
	return out, nil
}

// network is fetch.
type network struct{ device js.Value }

func (n network) Send(_ context.Context, r wallet.Request) (wallet.Answer, error) {
	header := map[string]any{}
	for name, value := range r.Header {
		header[name] = value
	}
	if r.Accept != "" {
		header["Accept"] = r.Accept
	}
	v, err := await(n.device.Call("fetch", map[string]any{"address": r.Address, "type": r.Type, "header": header, "body": array(r.Body)}))
	if err != nil {
		return wallet.Answer{}, err
	}
	a := wallet.Answer{Status: v.Get("status").Int(), Type: v.Get("type").String(), Header: map[string][]string{}}
	fields := v.Get("header")
	for i := range fields.Length() {
		name := fields.Index(i).Index(0).String()
		a.Header[name] = append(a.Header[name], fields.Index(i).Index(1).String())
	}
	a.Body, err = bytesOf(v.Get("body"), int(r.MaxBytes))
	return a, err
}

// keyring are keys of WebCrypto that cannot be exported. What a key is known by holds
// its public half, which WebCrypto would not tell of the private one.
type keyring struct{ device js.Value }

// handle is what a key is known by.
type handle struct {
	ID  string          `json:"id"`
	JWK json.RawMessage `json:"jwk"`
}

func (k keyring) New() ([]byte, keys.Signer, error) {
	v, err := await(k.device.Call("newKey"))
	if err != nil {
		return nil, nil, err
	}
	b, err := json.Marshal(handle{v.Get("id").String(), json.RawMessage(v.Get("jwk").String())})
	if err != nil {
		return nil, nil, err
	}
	s, err := k.Signer(b)
	return b, s, err
}

func (k keyring) Signer(b []byte) (keys.Signer, error) {
	var h handle
	if err := json.Unmarshal(b, &h); err != nil {
		return nil, err
	}
	return engine.NewKey(h.JWK, func(message []byte) ([]byte, error) {
		v, err := await(k.device.Call("sign", h.ID, array(message)))
		if err != nil {
			return nil, err
		}
		return bytesOf(v, keys.ES256.SignatureSize())
	})
}
