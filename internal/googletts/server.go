// Package googletts is Google's Text-to-Speech service on loopback, for tests.
//
// A [Server] implements the service's own gRPC interface, so the official
// client can't tell it from the real one: it lists voices, refuses what the
// real service refuses, in its words where they are known, and answers with
// real speech, which the flite program renders. The same request always gives
// the same bytes.
//
// What the next calls meet can be scripted with [Server.Fail]: a quota, an
// outage, refused credentials, a connection that drops in mid-answer, a slow or
// a damaged answer. [Server.Stats] tells what arrived.
//
// The server lives in the process of the test. A child process uses it too, by
// the address that [Server.Endpoint] gives.
//
// Limits: plain text, or SSML of a single phoneme element with the IPA of an
// English word; LINEAR16 at 16 kHz only, no streaming; credentials
// are counted but not checked, a [Fault] refuses them.
package googletts

import (
	"context"
	"crypto/tls"
	"net"
	"os/exec"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"cloud.google.com/go/texttospeech/apiv1/texttospeechpb"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"wakefuzz/tts"
)

// Server is a running service. Its methods can be called at any time, by any
// goroutine.
type Server struct {
	texttospeechpb.UnimplementedTextToSpeechServer
	listener *listener
	scheme   string

	mu     sync.Mutex
	faults []Fault
	stats  Stats
	active int
}

// Stats is what arrived at a server so far.
type Stats struct {
	// Syntheses and Listings count the calls of SynthesizeSpeech and
	// ListVoices, those that met a fault too.
	Syntheses, Listings int
	// Authorized counts the calls that carried credentials of any kind.
	Authorized int
	// Characters is what the real service would bill: the characters of all
	// texts that were spoken, whether or not the answer arrived whole.
	Characters int
	// Peak is the largest number of SynthesizeSpeech calls that were answered
	// at the same time.
	Peak int
}

// Fault is what a call meets. The zero Fault is a plain answer.
type Fault struct {
	// Delay is how long the call is kept waiting first. A caller who leaves is
	// not waited for.
	Delay time.Duration
	// Err is answered instead of speech.
	Err error
	// Truncate cuts the WAV file in half, Drop the caller's connection when
	// half of the answer has been sent. Both are for SynthesizeSpeech only.
	Truncate, Drop bool
}

// Faults that the real service is known for, with its own words.
var (
	Quota = Fault{Err: status.Error(codes.ResourceExhausted,
		"Quota exceeded for quota metric 'All requests' and limit 'All requests per minute' of service 'texttospeech.googleapis.com'")}
	Outage          = Fault{Err: status.Error(codes.Unavailable, "The service is currently unavailable.")}
	InternalError   = Fault{Err: status.Error(codes.Internal, "Internal error encountered.")}
	Unauthenticated = Fault{Err: status.Error(codes.Unauthenticated,
		"Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential.")}
	ServiceDisabled = Fault{Err: denied("SERVICE_DISABLED",
		"Cloud Text-to-Speech API has not been used in project 1234567890 before or it is disabled.")}
	BillingDisabled = Fault{Err: denied("BILLING_DISABLED",
		"This API method requires billing to be enabled. Please enable billing on project #1234567890.")}
	Denied        = Fault{Err: status.Error(codes.PermissionDenied, "The caller does not have permission")}
	Unimplemented = Fault{Err: status.Error(codes.Unimplemented, "Operation is not implemented, or supported, or enabled.")}
)

func denied(reason, message string) error {
	st, err := status.New(codes.PermissionDenied, message).WithDetails(&errdetails.ErrorInfo{
		Reason:   reason,
		Domain:   "googleapis.com",
		Metadata: map[string]string{"service": "texttospeech.googleapis.com", "consumer": "projects/1234567890"},
	})
	if err != nil {
		panic(err) // the detail is a constant of this package
	}
	return st.Err()
}

// Start serves in plaintext on a free port of 127.0.0.1 until the test ends.
func Start(tb testing.TB) *Server {
	return start(tb, "http://")
}

// StartTLS is Start with TLS, for clients that send credentials.
func StartTLS(tb testing.TB, certificate tls.Certificate) *Server {
	return start(tb, "", grpc.Creds(credentials.NewServerTLSFromCert(&certificate)))
}

func start(tb testing.TB, scheme string, options ...grpc.ServerOption) *Server {
	tb.Helper()
	if _, err := exec.LookPath("flite"); err != nil {
		tb.Fatalf("googletts speaks with flite, install it (apt-get install flite): %v", err)
	}
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatalf("googletts: %v", err)
	}
	s := &Server{listener: newListener(inner), scheme: scheme}
	server := grpc.NewServer(options...)
	texttospeechpb.RegisterTextToSpeechServer(server, s)
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := server.Serve(s.listener); err != nil {
			tb.Errorf("googletts: %v", err)
		}
	})
	tb.Cleanup(func() {
		server.Stop()
		serving.Wait()
	})
	return s
}

// Endpoint is where the server listens: "http://127.0.0.1:PORT" in plaintext,
// "127.0.0.1:PORT" with TLS.
func (s *Server) Endpoint() string { return s.scheme + s.listener.Addr().String() }

// Fail has the next n calls, of either method and from any client, meet the
// fault, after those of earlier Fails.
func (s *Server) Fail(n int, f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range n {
		s.faults = append(s.faults, f)
	}
}

// Recover forgets the faults that no call has met yet.
func (s *Server) Recover() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// Stats is what arrived so far.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

// nextFault counts the call, and takes the fault that it meets.
func (s *Server) nextFault(ctx context.Context, count func(*Stats)) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	count(&s.stats)
	if len(metadata.ValueFromIncomingContext(ctx, "authorization")) > 0 {
		s.stats.Authorized++
	}
	if len(s.faults) == 0 {
		return Fault{}
	}
	f := s.faults[0]
	s.faults = s.faults[1:]
	return f
}

// meet is the part of a fault that comes before the answer.
func (f Fault) meet(ctx context.Context) error {
	if f.Delay > 0 {
		select {
		case <-time.After(f.Delay):
		case <-ctx.Done():
			return status.FromContextError(ctx.Err()).Err()
		}
	}
	return f.Err
}

// ListVoices implements the service.
func (s *Server) ListVoices(ctx context.Context, request *texttospeechpb.ListVoicesRequest) (*texttospeechpb.ListVoicesResponse, error) {
	fault := s.nextFault(ctx, func(st *Stats) { st.Listings++ })
	if err := fault.meet(ctx); err != nil {
		return nil, err
	}
	response := &texttospeechpb.ListVoicesResponse{}
	for _, v := range voices {
		if want := request.GetLanguageCode(); want == "" || want == v.language {
			response.Voices = append(response.Voices, &texttospeechpb.Voice{
				Name:                   v.name,
				LanguageCodes:          []string{v.language},
				NaturalSampleRateHertz: tts.SampleRate,
			})
		}
	}
	return response, nil
}

// SynthesizeSpeech implements the service.
func (s *Server) SynthesizeSpeech(ctx context.Context, request *texttospeechpb.SynthesizeSpeechRequest) (*texttospeechpb.SynthesizeSpeechResponse, error) {
	fault := s.nextFault(ctx, func(st *Stats) {
		st.Syntheses++
		s.active++
		st.Peak = max(st.Peak, s.active)
	})
	defer func() {
		s.mu.Lock()
		s.active--
		s.mu.Unlock()
	}()
	if err := fault.meet(ctx); err != nil {
		return nil, err
	}
	voice, err := check(request)
	if err != nil {
		return nil, err
	}
	audio, err := speak(ctx, voice, request.GetInput(), request.GetAudioConfig())
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.stats.Characters += utf8.RuneCountInString(request.GetInput().GetText() + request.GetInput().GetSsml())
	s.mu.Unlock()
	if fault.Truncate {
		audio = audio[:len(audio)/2]
	}
	if fault.Drop {
		caller, ok := peer.FromContext(ctx)
		if !ok {
			return nil, status.Error(codes.Internal, "the caller has no address")
		}
		s.listener.cut(caller.Addr, len(audio)/2)
	}
	return &texttospeechpb.SynthesizeSpeechResponse{AudioContent: audio}, nil
}
