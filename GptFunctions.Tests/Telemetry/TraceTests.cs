using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using GptFunctions.TelemetryView;
using GptFunctions.Tests.Audit;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Telemetry;

/// <summary>traces.md 1 to 4: what arrives at a collector of the tests' own, span by span.</summary>
[Collection(AuditQueueTurns.Name)]
public sealed class TraceTests(TelemetryFixture fixture) : IClassFixture<TelemetryFixture>
{
    private readonly TestCollector collector = fixture.Collector;

    /// <summary>HTTP server -> SQL -> outbox -> publish -> consume -> SQL of the audit row.</summary>
    [Fact]
    public async Task Code_exchange_is_one_trace_from_the_caller_to_the_audit_row()
    {
        var client = await OAuthFlow.AddClientAsync(fixture.App);
        var code = await fixture.Flow.CodeAsync(client, "user_traced");
        var caller = NewCaller();

        var answer = await SendAsync(caller, new HttpRequestMessage(HttpMethod.Post, "/oauth/token?note=hidden")
        {
            Headers = { Authorization = OAuthFlow.Basic(client.Id, client.Secret) },
            Content = new FormUrlEncodedContent(
            [
                new("grant_type", "authorization_code"), new("code", code), new("redirect_uri", client.RedirectUri),
            ]),
        });

        Assert.Equal(HttpStatusCode.OK, answer.Status);
        var trace = await collector.TraceAsync(
            caller.TraceId.ToHexString(), span => span.Kind == "server", span => span.Name == "TokenStore.Exchange", span => span.Kind == "producer",
            span => span.Name == "function AuditConsumer", span => span.Kind == "consumer", span => span.Name == "AuditTrailStore.Insert");
        var server = Only(trace, "POST /oauth/token", "server", caller.SpanId.ToHexString());
        Assert.Equal(
            [
                ("gpt.correlation_id", caller.TraceId.ToHexString()), ("http.request.method", "POST"), ("http.response.status_code", "200"),
                ("http.route", "/oauth/token"), ("network.protocol.version", "1.1"), ("url.path", "/oauth/token"), ("url.scheme", "http"),
            ],
            server.Attributes.OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => (pair.Key, pair.Value)));
        var exchange = Only(trace, "TokenStore.Exchange", "client", server.SpanId);
        Assert.Equal("postgresql", exchange.Attributes["db.system.name"]);
        Assert.Equal("TokenStore.Exchange", exchange.Attributes["db.query.summary"]);
        Assert.DoesNotContain("db.query.text", exchange.Attributes.Keys);
        var publish = Only(trace, "publish gpt.events", "producer", server.SpanId);
        Assert.Equal("gpt.oauth.token_exchanged", publish.Attributes["messaging.rabbitmq.destination.routing_key"]);
        var invocation = Only(trace, "function AuditConsumer", "internal", publish.SpanId);
        var process = Only(trace, "process gpt-audit-events", "consumer", server.SpanId);
        Assert.Equal([(invocation.TraceId, invocation.SpanId)], process.Links);
        Only(trace, "AuditTrailStore.Insert", "client", process.SpanId);
        Assert.Equal(6, trace.Count);
        Assert.All(trace, span => Assert.False(span.IsError));

        var round = await LinkedAsync(publish);
        Assert.Equal("relay outbox", round.Name);
        Assert.Contains((server.TraceId, server.SpanId), round.Links);
        Assert.Equal(1, await fixture.App.Database.CountAsync("gpt_oauth_events", $"client_id = '{client.Id}' AND event_type = 'gpt.oauth.token_exchanged'"));
    }

    [Fact]
    public async Task Gateway_call_is_one_trace_into_the_upstream()
    {
        var user = await fixture.Users.AddAsync();
        var caller = NewCaller();

        var answer = await SendAsync(caller, new HttpRequestMessage(HttpMethod.Get, "/gpt/echo?e-mail=alice@example.com")
        {
            Headers = { Authorization = new AuthenticationHeaderValue("Bearer", user.Token) },
        });

        Assert.Equal(HttpStatusCode.OK, answer.Status);
        var trace = await collector.TraceAsync(caller.TraceId.ToHexString(), span => span.Kind == "server", span => span.Name == "GET /echo");
        var server = Only(trace, "GET /gpt/echo", "server", caller.SpanId.ToHexString());
        Assert.Equal("/gpt/echo", server.Attributes["http.route"]);
        var call = Only(trace, "GET /echo", "client", server.SpanId);
        Assert.Equal("200", call.Attributes["http.response.status_code"]);
        Assert.Equal(fixture.Upstream.Url + "/echo", call.Attributes["url.full"]);
        Only(trace, "RateLimitStore.Take", "client", server.SpanId);
        Assert.All(trace.Except([server]), span => Assert.Equal((server.SpanId, "client"), (span.ParentId, span.Kind)));
        var seen = Echo.Of(answer.Text);
        Assert.Equal($"00-{caller.TraceId}-{call.SpanId}-01", seen["traceparent"]);
        Assert.Equal("vendor=1", seen["tracestate"]);
        Assert.Null(seen["baggage"]);
    }

    /// <summary>Callers share the statement of the limits; it belongs to one of those who wait for it, and never to one who has gone.</summary>
    [Fact]
    public async Task Shared_statement_is_in_the_trace_of_somebody_who_waits_for_it()
    {
        var users = await Task.WhenAll(Enumerable.Range(0, 16).Select(_ => fixture.Users.AddAsync()));
        var callers = new ConcurrentBag<string>();
        await Task.WhenAll(users.Select(async user =>
        {
            for (var number = 0; number < 20; number++)
            {
                var caller = NewCaller();
                callers.Add(caller.TraceId.ToHexString());
                await SendAsync(caller, new HttpRequestMessage(HttpMethod.Get, "/gpt/echo")
                {
                    Headers = { Authorization = new AuthenticationHeaderValue("Bearer", user.Token) },
                });
            }
        }));

        var ids = callers.ToHashSet(StringComparer.Ordinal);
        await Wait.UntilAsync(() => collector.Spans.Count(span => span.Kind == "server" && ids.Contains(span.TraceId)) == ids.Count);
        var servers = collector.Spans.Where(span => span.Kind == "server").ToLookup(span => span.SpanId, StringComparer.Ordinal);
        var statements = collector.Spans.Where(span => span.Name == "RateLimitStore.Take" && ids.Contains(span.TraceId)).ToList();
        Assert.InRange(statements.Count, 20, ids.Count);
        Assert.All(statements.CountBy(span => span.TraceId), trace => Assert.Equal(1, trace.Value));
        Assert.All(statements, span => Assert.InRange(span.Start, servers[span.ParentId].Single().Start, servers[span.ParentId].Single().End));
    }

    /// <summary>The end of an audited call is written behind the caller's back, and belongs to its trace all the same.</summary>
    [Fact]
    public async Task Audited_call_has_its_attempt_and_its_end_in_the_trace()
    {
        var user = await fixture.Users.AddAsync();
        var caller = NewCaller();

        await SendAsync(caller, new HttpRequestMessage(HttpMethod.Get, "/gpt/expensive")
        {
            Headers = { Authorization = new AuthenticationHeaderValue("Bearer", user.Token) },
        });

        var trace = await collector.TraceAsync(
            caller.TraceId.ToHexString(), span => Event(span) == "gpt.action.expensive", span => Event(span) == "gpt.action.expensive.result");
        var server = trace.Single(span => span.Kind == "server");
        Assert.All(trace.Where(span => span.Kind == "consumer"), span => Assert.Equal(server.SpanId, span.ParentId));

        static string? Event(OtlpSpan span) => span.Kind == "consumer" ? span.Attributes["messaging.rabbitmq.destination.routing_key"] : null;
    }

    [Fact]
    public async Task Failure_of_the_upstream_is_an_error_of_both_spans()
    {
        var user = await fixture.Users.AddAsync();
        var caller = NewCaller();

        await SendAsync(caller, new HttpRequestMessage(HttpMethod.Get, "/gpt/dead")
        {
            Headers = { Authorization = new AuthenticationHeaderValue("Bearer", user.Token) },
        });

        var trace = await collector.TraceAsync(caller.TraceId.ToHexString(), span => span.Kind == "server");
        Assert.All(trace.Where(span => span.Name.EndsWith("/dead", StringComparison.Ordinal)), span =>
        {
            Assert.True(span.IsError);
            Assert.Equal("502", span.Attributes["error.type"]);
        });
        Assert.Equal(2, trace.Count(span => span.IsError));
    }

    /// <summary>A traceparent that is none begins a trace of its own, and its tracestate means nothing.</summary>
    [Theory]
    [InlineData("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331")]
    [InlineData("00-00000000000000000000000000000000-b7ad6b7169203331-01")]
    [InlineData("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")]
    [InlineData("x")]
    public async Task Malformed_traceparent_begins_a_trace_of_its_own(string given)
    {
        var user = await fixture.Users.AddAsync();
        var id = Guid.NewGuid().ToString("N");
        using var request = new HttpRequestMessage(HttpMethod.Get, "/gpt/echo")
        {
            Headers = { { "traceparent", given }, { "tracestate", "vendor=1" }, { "x-correlation-id", id } },
        };
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", user.Token);
        using var response = await fixture.Program.Http.SendAsync(request);
        var seen = Echo.Of(await response.Content.ReadAsStringAsync());

        await Wait.UntilAsync(() => collector.Spans.Any(span => span.Attributes.GetValueOrDefault("gpt.correlation_id") == id));
        var server = collector.Spans.Single(span => span.Attributes.GetValueOrDefault("gpt.correlation_id") == id);
        Assert.Equal("", server.ParentId);
        Assert.StartsWith($"00-{server.TraceId}-", seen["traceparent"], StringComparison.Ordinal);
        Assert.Null(seen["tracestate"]);
    }

    [Fact]
    public async Task Log_records_have_the_trace_in_which_they_were_written()
    {
        var user = await fixture.Users.AddAsync();
        var caller = NewCaller();

        await SendAsync(caller, new HttpRequestMessage(HttpMethod.Get, "/gpt/dead")
        {
            Headers = { Authorization = new AuthenticationHeaderValue("Bearer", user.Token) },
        });

        await Wait.UntilAsync(() => collector.Logs.Any(log => log.TraceId == caller.TraceId.ToHexString()));
        var log = collector.Logs.First(log => log.TraceId == caller.TraceId.ToHexString() && log.Category == "GptFunctions.Gateway.Forwarder");
        Assert.Equal("The upstream of dead failed", log.Body[.."The upstream of dead failed".Length]);
        Assert.Equal(caller.TraceId.ToHexString(), log.Attributes["CorrelationId"]);
    }

    [Fact]
    public async Task Resource_names_service_version_instance_and_what_the_settings_add()
    {
        using var answer = await fixture.Program.Http.GetAsync(new Uri("/.well-known/jwks.json", UriKind.Relative));
        await Wait.UntilAsync(() => !collector.Spans.IsEmpty && !collector.Logs.IsEmpty && collector.Points.Count > 0);

        Assert.All(
            collector.Spans.Select(span => span.Resource).Concat(collector.Logs.Select(log => log.Resource))
                .Concat(collector.Points.Select(point => point.Resource)),
            resource =>
            {
                Assert.Equal("gpt-tests", resource["service.name"]);
                Assert.Equal("pod-1", resource["k8s.pod.name"]);
                Assert.Equal("Development", resource["deployment.environment.name"]);
                Assert.NotEmpty(resource["service.version"]);
                Assert.NotEmpty(resource["service.instance.id"]);
                Assert.Equal("dotnet", resource["telemetry.sdk.language"]);
            });
    }

    /// <summary>Probes every few seconds, heartbeats and polls would be most of what there is.</summary>
    [Fact]
    public async Task Probes_and_statements_of_nobody_are_not_traced()
    {
        foreach (var path in (string[])["/health", "/healthz", "/ready"])
        {
            using var probe = await fixture.Program.Http.GetAsync(new Uri(path, UriKind.Relative));
        }

        var caller = NewCaller();
        await SendAsync(caller, new HttpRequestMessage(HttpMethod.Get, "/.well-known/jwks.json"));
        await collector.TraceAsync(caller.TraceId.ToHexString(), span => span.Kind == "server");

        Assert.DoesNotContain(collector.Spans, span => span.Attributes.GetValueOrDefault("http.route") is "/health" or "/healthz" or "/ready");
        Assert.DoesNotContain(collector.Spans, span => span is { ParentId: "", Kind: "client" });
        await Wait.UntilAsync(() => // what began a statement ends, and is sent, after it
        {
            var spans = collector.Spans.ToArray();
            var ids = spans.Select(span => span.SpanId).ToHashSet(StringComparer.Ordinal);
            return spans.Where(span => span.Source == "Npgsql").All(span => ids.Contains(span.ParentId));
        });
    }

    /// <summary>All that was sent, octet by octet, like the log: whatever a caller put into paths, queries, forms and headers.</summary>
    [Fact]
    public async Task Nothing_that_is_sent_holds_a_token_a_user_or_an_address()
    {
        const string user = "user_secretive";
        var client = await OAuthFlow.AddClientAsync(fixture.App);
        var code = await fixture.Flow.CodeAsync(client, user);
        var tokens = await fixture.Flow.ExchangeAsync(client, code);
        var refreshed = await fixture.Flow.RefreshAsync(client, tokens["refresh_token"]!);
        await fixture.Flow.ExchangeAsync(client, code); // a replay, which ends the session
        var known = await fixture.Users.AddAsync();
        string[] calls =
        [
            "/gpt/items/somebody@example.com?token=query_secret_0123456789", $"/gpt/echo?user={known.Subject}", "/gpt/dead?e-mail=somebody@example.com",
            $"/verifications/somebody@example.com?user={known.Id}", "/nowhere/somebody@example.com", $"/gpt/echo?access_token={known.Token}",
        ];
        foreach (var call in calls)
        {
            await SendAsync(NewCaller(), new HttpRequestMessage(HttpMethod.Get, call)
            {
                Headers =
                {
                    { "cookie", "session=cookie_secret_0123456789" }, { "x-user-email", "somebody@example.com" },
                    { "authorization", $"Bearer {known.Token}" },
                },
            });
        }

        var last = NewCaller();
        await SendAsync(last, new HttpRequestMessage(HttpMethod.Get, "/nowhere"));
        await collector.TraceAsync(last.TraceId.ToHexString(), span => span.Kind == "server");
        await Wait.UntilAsync(() => collector.Points.Any(point => point.Attributes.GetValueOrDefault("reason") == "code_replayed"));

        var everything = string.Join('\n', collector.Everything);
        string?[] secrets =
        [
            code, tokens["access_token"], tokens["refresh_token"], refreshed["access_token"], refreshed["refresh_token"], client.Secret, known.Token,
            user, known.Subject, known.Id.ToString(), "somebody@example.com", "alice@example.com", "query_secret", "cookie_secret",
        ];
        Assert.All(secrets, secret => Assert.DoesNotContain(secret!, everything, StringComparison.Ordinal));
    }

    private static ActivityContext NewCaller() => new(ActivityTraceId.CreateRandom(), ActivitySpanId.CreateRandom(), ActivityTraceFlags.Recorded);

    private async Task<(HttpStatusCode Status, string Text)> SendAsync(ActivityContext caller, HttpRequestMessage request)
    {
        using (request)
        {
            request.Headers.Add("traceparent", $"00-{caller.TraceId}-{caller.SpanId}-01");
            request.Headers.Add("tracestate", "vendor=1");
            request.Headers.Add("baggage", "user=alice@example.com");
            using var response = await fixture.Program.Http.SendAsync(request);
            return (response.StatusCode, await response.Content.ReadAsStringAsync());
        }
    }

    private async Task<OtlpSpan> LinkedAsync(OtlpSpan span)
    {
        var link = Assert.Single(span.Links);
        await Wait.UntilAsync(() => collector.Spans.Any(one => one.SpanId == link.SpanId));
        return collector.Spans.Single(one => one.SpanId == link.SpanId);
    }

    private static OtlpSpan Only(IReadOnlyList<OtlpSpan> trace, string name, string kind, string parent)
    {
        var span = Assert.Single(trace, one => one.Name == name);
        Assert.Equal((kind, parent), (span.Kind, span.ParentId));
        Assert.True(span.End >= span.Start);
        return span;
    }
}
