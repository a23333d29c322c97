package openwakeword

import (
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// cut makes of an ONNX model that part of it which turns the value named in
// into the value named out. They become the part's only input and output, of
// the shapes given, in which -1 stands for any length.
//
// What else the model would do with the output, or to make the input, is up to
// the caller, who says which operations these are: cut fails where others fall
// away, in the order of the graph, so that a model which is not the expected
// one is not cut.
func cut(onnx []byte, in, out port, dropped ...string) ([]byte, error) {
	part, err := cutModel(onnx, in, out, dropped)
	if err != nil {
		return nil, fmt.Errorf("it is not the model of openWakeWord 0.5 that this program can cut: %w", err)
	}
	return part, nil
}

// The fields of ONNX's messages, as onnx.proto3 numbers them.
const (
	modelGraph = 7

	graphNode        = 1
	graphInitializer = 5
	graphInput       = 11
	graphOutput      = 12
	graphValueInfo   = 13 // shapes of values in between; they hold no more

	nodeInput  = 1
	nodeOutput = 2
	nodeOpType = 4

	tensorName = 8

	valueName       = 1
	valueType       = 2
	typeTensor      = 1
	tensorTypeElem  = 1
	tensorTypeShape = 2
	shapeDim        = 1
	dimValue        = 1
	dimParam        = 2

	elemFloat = 1
)

func cutModel(onnx []byte, in, out port, dropped []string) (part []byte, err error) {
	graphs := 0
	err = fields(onnx, func(number protowire.Number, value, whole []byte) error {
		if number != modelGraph {
			part = append(part, whole...)
			return nil
		}
		graphs++
		graph, err := cutGraph(value, in, out, dropped)
		part = appendMessage(part, modelGraph, graph)
		return err
	})
	if err == nil && graphs != 1 {
		err = fmt.Errorf("%d graphs instead of one", graphs)
	}
	return part, err
}

// node is an operation of a graph.
type node struct {
	op      string
	in, out []string
	whole   []byte // with its tag
}

func cutGraph(graph []byte, in, out port, dropped []string) (part []byte, err error) {
	var nodes []node // in an order in which they can be run
	constants := make(map[string]bool)
	err = fields(graph, func(number protowire.Number, value, whole []byte) error {
		switch number {
		case graphNode:
			n := node{whole: whole}
			nodes = append(nodes, n)
			return nodes[len(nodes)-1].read(value)
		case graphInput, graphOutput, graphValueInfo:
			return nil
		case graphInitializer:
			name, err := text(value, tensorName)
			constants[name] = true
			part = append(part, whole...)
			return err
		}
		part = append(part, whole...)
		return nil
	})
	if err != nil {
		return nil, err
	}

	// From the output backwards: what is needed, and who makes it.
	needed := map[string]bool{out.name: true}
	var kept [][]byte
	var fallen []string
	for _, n := range slices.Backward(nodes) {
		if !slices.ContainsFunc(n.out, func(name string) bool { return needed[name] && name != in.name }) {
			fallen = append(fallen, n.op)
			continue
		}
		for _, name := range n.out {
			delete(needed, name)
		}
		for _, name := range n.in {
			if name != "" && !constants[name] { // "" is an input left out
				needed[name] = true
			}
		}
		kept = append(kept, n.whole)
	}
	if !needed[in.name] || len(needed) != 1 {
		return nil, fmt.Errorf("%s is not made of %s alone", out.name, in.name)
	}
	slices.Reverse(fallen)
	if !slices.Equal(fallen, dropped) {
		return nil, fmt.Errorf("%q would fall away instead of %q", fallen, dropped)
	}
	for _, whole := range slices.Backward(kept) {
		part = append(part, whole...)
	}
	part = appendMessage(part, graphInput, valueInfo(in))
	part = appendMessage(part, graphOutput, valueInfo(out))
	return part, nil
}

func (n *node) read(message []byte) error {
	return fields(message, func(number protowire.Number, value, _ []byte) error {
		switch number {
		case nodeInput:
			n.in = append(n.in, string(value))
		case nodeOutput:
			n.out = append(n.out, string(value))
		case nodeOpType:
			n.op = string(value)
		}
		return nil
	})
}

// valueInfo declares an input or output of 32-bit floats.
func valueInfo(p port) []byte {
	var shape []byte
	for _, length := range p.shape {
		var dim []byte
		if length >= 0 {
			dim = protowire.AppendTag(dim, dimValue, protowire.VarintType)
			dim = protowire.AppendVarint(dim, uint64(length))
		} else {
			dim = appendMessage(dim, dimParam, []byte("length of "+p.name))
		}
		shape = appendMessage(shape, shapeDim, dim)
	}
	tensor := protowire.AppendTag(nil, tensorTypeElem, protowire.VarintType)
	tensor = protowire.AppendVarint(tensor, elemFloat)
	tensor = appendMessage(tensor, tensorTypeShape, shape)
	info := appendMessage(nil, valueName, []byte(p.name))
	return appendMessage(info, valueType, appendMessage(nil, typeTensor, tensor))
}

// text returns a field of a message that holds text.
func text(message []byte, field protowire.Number) (found string, err error) {
	err = fields(message, func(number protowire.Number, value, _ []byte) error {
		if number == field {
			found = string(value)
		}
		return nil
	})
	return found, err
}

var errNotProtobuf = errors.New("not a protobuf message")

// fields calls visit for each field of a message: with its value, where that
// is a string or a message, and with the whole field as it is encoded.
func fields(message []byte, visit func(number protowire.Number, value, whole []byte) error) error {
	for len(message) > 0 {
		number, kind, tag := protowire.ConsumeTag(message)
		if tag < 0 {
			return errNotProtobuf
		}
		length := protowire.ConsumeFieldValue(number, kind, message[tag:])
		if length < 0 {
			return errNotProtobuf
		}
		var value []byte
		if kind == protowire.BytesType {
			value, _ = protowire.ConsumeBytes(message[tag:])
		}
		if err := visit(number, value, message[:tag+length]); err != nil {
			return err
		}
		message = message[tag+length:]
	}
	return nil
}

func appendMessage(b []byte, number protowire.Number, message []byte) []byte {
	b = protowire.AppendTag(b, number, protowire.BytesType)
	return protowire.AppendBytes(b, message)
}
