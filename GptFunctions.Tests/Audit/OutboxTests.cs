using System.Text.Json;
using GptFunctions.Audit;
using GptFunctions.Tests.Support;
using GptFunctions.Tokens;

namespace GptFunctions.Tests.Audit;

/// <summary>
/// "Audit events": each change writes exactly one row, in its own transaction, and the row tells who, what, from where and in which request.
/// </summary>
public sealed class OutboxTests(AppFixture<OutboxTests> fixture) : IClassFixture<AppFixture<OutboxTests>>
{
    private readonly TestApp app = fixture.App;
    private readonly string user = "user_" + Guid.NewGuid().ToString("N");
    private readonly string correlationId = "step-" + Guid.NewGuid().ToString("N");
    private readonly HttpClient http = new(
        new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false })
    {
        BaseAddress = fixture.App.Http.BaseAddress,
    };

    public static TheoryData<string> Types =>
    [
        AuditEvents.SignedIn, AuditEvents.Authorize, AuditEvents.AuthorizeDenied, AuditEvents.TokenExchanged, AuditEvents.TokenRefreshed,
        AuditEvents.TokenRepeated, AuditEvents.ReplayDetected,
        AuditEvents.CodeReplayDetected, AuditEvents.SessionRevoked, AuditEvents.AllSessionsRevoked, AuditEvents.ClientAuthFailed,
    ];

    [Theory]
    [MemberData(nameof(Types))]
    public async Task Event_is_one_row_with_envelope_and_correlation_id(string type)
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var session = await (await PrepareAsync(type, client))();

        var (eventId, routingKey, occurredAt, envelope) = Assert.Single(await RowsAsync(correlationId));
        Assert.Equal(type, routingKey);
        Assert.Equal(
            ["correlation_id", "event_id", "event_type", "payload", "source_service", "timestamp"],
            envelope.EnumerateObject().Select(member => member.Name).Order(StringComparer.Ordinal));
        Assert.Equal(
            (eventId, type, "gpt-functions"),
            (envelope.GetProperty("event_id").GetGuid(), envelope.GetProperty("event_type").GetString(), envelope.GetProperty("source_service").GetString()));
        Assert.Equal(7, eventId.Version);
        Assert.Equal(occurredAt, envelope.GetProperty("timestamp").GetDateTimeOffset());
        Assert.InRange(occurredAt, app.Clock.GetUtcNow() - TimeSpan.FromMinutes(1), app.Clock.GetUtcNow());

        var payload = envelope.GetProperty("payload");
        Assert.Equal("127.0.0.1", payload.GetProperty("ip_address").GetString());
        Assert.Equal(type == AuditEvents.ClientAuthFailed ? null : user, Member(payload, "clerk_user_id"));
        Assert.Equal(client.Id, Member(payload, "client_id"));
        Assert.Equal(session?.ToString(), Member(payload, "session_id"));
    }

    /// <summary>The proof of "in the transaction of the change": when the row cannot be written, nothing of the change is.</summary>
    [Theory]
    [MemberData(nameof(Types))]
    public async Task Change_whose_event_cannot_be_written_does_not_happen(string type)
    {
        var act = await PrepareAsync(type, await OAuthFlow.AddClientAsync(app));
        var before = await StateAsync();
        await app.Database.ExecuteAsync($"ALTER TABLE outbox_messages ADD CONSTRAINT no_room CHECK (routing_key <> '{type}') NOT VALID");
        try
        {
            await act();
        }
        finally
        {
            await app.Database.ExecuteAsync("ALTER TABLE outbox_messages DROP CONSTRAINT no_room");
        }

        Assert.Equal(before, await StateAsync());
        act = type == AuditEvents.SignedIn ? await PrepareAsync(type, await OAuthFlow.AddClientAsync(app)) : act; // the provider's state is good once
        await act();
        Assert.NotEqual(before, await StateAsync());
    }

    [Fact]
    public async Task Event_without_a_callers_correlation_id_has_the_one_that_the_answer_names()
    {
        var client = await OAuthFlow.AddClientAsync(app);

        var answer = await new OAuthFlow(http).RefreshAsync(client with { Secret = "wrong" }, "token");

        Assert.Single(await RowsAsync(Assert.Single(answer.Headers.GetValues("x-correlation-id"))));
    }

    private static string? Member(JsonElement payload, string name) => payload.TryGetProperty(name, out var value) ? value.GetString() : null;

    /// <summary>
    /// Walks up to the moment before the event. What is returned does the last step, under the test's correlation id, and tells the session if the
    /// event has one.
    /// </summary>
    private async Task<Func<Task<Guid?>>> PrepareAsync(string type, TestClient client)
    {
        var flow = new OAuthFlow(http);
        var browser = new TestBrowser(http);
        var step = type switch
        {
            AuditEvents.SignedIn => Browse(
                browser, await browser.GetAsync("/oauth/authorize" + OAuthFlow.Query(OAuthFlow.Parameters(client))), ("user_id", user)),
            AuditEvents.Authorize => Browse(browser, await browser.SignInAsync(user, OAuthFlow.Parameters(client)), ("decision", "approve")),
            AuditEvents.AuthorizeDenied => Browse(browser, await browser.SignInAsync(user, OAuthFlow.Parameters(client)), ("decision", "deny")),
            AuditEvents.ClientAuthFailed => Call(null, () => flow.RefreshAsync(client with { Secret = "wrong" }, "token")),
            AuditEvents.TokenExchanged => Exchange(flow, client, await flow.CodeAsync(client, user)),
            AuditEvents.CodeReplayDetected => await ReplayCodeAsync(flow, client),
            _ => await UseTokensAsync(type, flow, client),
        };
        return () =>
        {
            http.DefaultRequestHeaders.Remove("x-correlation-id");
            http.DefaultRequestHeaders.Add("x-correlation-id", correlationId);
            return step();
        };
    }

    private async Task<Func<Task<Guid?>>> UseTokensAsync(string type, OAuthFlow flow, TestClient client)
    {
        var tokens = await flow.TokensAsync(client, user);
        var session = AccessTokenText.SessionId(tokens["access_token"]!);
        switch (type)
        {
            case AuditEvents.TokenRefreshed:
                return Call(session, () => flow.RefreshAsync(client, tokens["refresh_token"]!));
            case AuditEvents.SessionRevoked:
                return Call(session, () => flow.RevokeAsync(client, tokens["refresh_token"]!));
            case AuditEvents.AllSessionsRevoked:
                return Call(
                    null,
                    () => flow.SendAsync(
                        new HttpRequestMessage(HttpMethod.Delete, "/oauth/sessions") { Headers = { Authorization = new("Bearer", tokens["access_token"]) } }));
            case AuditEvents.TokenRepeated:
                await flow.RefreshAsync(client, tokens["refresh_token"]!);
                return Call(session, () => flow.RefreshAsync(client, tokens["refresh_token"]!));
            default:
                var refreshed = await flow.RefreshAsync(client, tokens["refresh_token"]!);
                await flow.SessionsAsync(refreshed["access_token"]!);
                await Wait.UntilAsync(async () => await app.Database.CountAsync("gpt_sessions", $"id = '{session}' AND used_generation = 1") == 1);
                app.Clock.Advance(TimeSpan.FromSeconds(121));
                return Call(session, () => flow.RefreshAsync(client, tokens["refresh_token"]!));
        }
    }

    private async Task<Func<Task<Guid?>>> ReplayCodeAsync(OAuthFlow flow, TestClient client)
    {
        var code = await flow.CodeAsync(client, user);
        var tokens = await flow.ExchangeAsync(client, code);
        return Call(AccessTokenText.SessionId(tokens["access_token"]!), () => flow.ExchangeAsync(client, code));
    }

    private static Func<Task<Guid?>> Exchange(OAuthFlow flow, TestClient client, string code) => async () =>
        (await flow.ExchangeAsync(client, code))["access_token"] is { } token ? AccessTokenText.SessionId(token) : null;

    private static Func<Task<Guid?>> Call(Guid? session, Func<Task<JsonAnswer>> call) => async () =>
    {
        await call();
        return session;
    };

    private static Func<Task<Guid?>> Browse(TestBrowser browser, HttpResponseMessage page, (string Name, string? Value) field) => async () =>
    {
        await browser.SubmitAsync(page, field);
        return null;
    };

    private async Task<IReadOnlyList<(Guid EventId, string RoutingKey, DateTimeOffset OccurredAt, JsonElement Envelope)>> RowsAsync(string id)
    {
        await using var command = app.Database.Source.CreateCommand(
            "SELECT event_id, routing_key, occurred_at, envelope::text FROM outbox_messages WHERE envelope ->> 'correlation_id' = $1");
        command.Parameters.Add(new Npgsql.NpgsqlParameter<string> { TypedValue = id });
        await using var reader = await command.ExecuteReaderAsync();
        var rows = new List<(Guid, string, DateTimeOffset, JsonElement)>();
        while (await reader.ReadAsync())
        {
            rows.Add((reader.GetGuid(0), reader.GetString(1), reader.GetFieldValue<DateTimeOffset>(2), JsonElement.Parse(reader.GetString(3))));
        }

        return rows;
    }

    /// <summary>A fingerprint of everything that changes may touch.</summary>
    private async Task<string?> StateAsync()
    {
        string[] tables = [
            "users", "gpt_authorization_requests", "gpt_authorization_codes", "gpt_consents", "gpt_sessions", "gpt_refresh_tokens", "outbox_messages",
        ];
        var parts = tables.Select(table => $"(SELECT coalesce(md5(string_agg(row::text, '|' ORDER BY row::text)), '') FROM {table} row)");
        return await app.Database.ScalarAsync<string>($"SELECT {string.Join(" || ' ' || ", parts)}");
    }
}
