using System.Diagnostics;
using System.Net;
using System.Text.Json;
using GptFunctions.Audit;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Operations;

/// <summary>operations.md 14: what pages do, by command, each run as an operator runs it.</summary>
public sealed class UserCommandsTests(AppFixture<UserCommandsTests> fixture) : IClassFixture<AppFixture<UserCommandsTests>>
{
    private readonly TestApp app = fixture.App;
    private readonly OAuthFlow flow = fixture.Flow;

    /// <summary>Somebody left the company: from the address in the mail to the end of everything, by command.</summary>
    [Fact]
    public async Task Person_who_left_is_named_by_mail_and_everything_ends()
    {
        var (client, other) = (await OAuthFlow.AddClientAsync(app), await OAuthFlow.AddClientAsync(app));
        var (one, two, stays) = (
            await flow.TokensAsync(client, "user_left"), await flow.TokensAsync(other, "user_left"), await flow.TokensAsync(client, "user_stays"));
        await app.Database.ExecuteAsync("UPDATE users SET email = 'Ann.Left@example.com' WHERE clerk_user_id = 'user_left'");

        var watch = Stopwatch.StartNew();
        Assert.Equal(
            (0, "user_left: sessions ended: 2, consents taken back\n", ""),
            await RunAsync("users", "revoke", "ann.left@example.com", "--by", "kim", "--reason", "left the company"));
        foreach (var (of, tokens) in ((TestClient, JsonAnswer)[])[(client, one), (other, two)])
        {
            await Wait.UntilAsync(async () => (await flow.SessionsAsync(tokens["access_token"]!)).Status == HttpStatusCode.Unauthorized);
            Assert.Equal("invalid_grant", (await flow.RefreshAsync(of, tokens["refresh_token"]!)).Error);
        }

        Assert.InRange(watch.Elapsed, TimeSpan.Zero, TimeSpan.FromMinutes(1));
        var act = Assert.Single(await app.Database.EventsAsync(AuditEvents.UserSessionsEnded, "clerk_user_id", "user_left")).GetProperty("payload");
        Assert.Equal(
            ("command:kim", "left the company", 2),
            (act.GetProperty("operator").GetString(), act.GetProperty("reason").GetString(), act.GetProperty("sessions").GetInt32()));
        Assert.Single(await app.Database.EventsAsync(AuditEvents.AllSessionsRevoked, "clerk_user_id", "user_left"));
        Assert.Equal(0, await app.Database.CountAsync("gpt_consents JOIN users ON users.id = user_id", "clerk_user_id = 'user_left' AND revoked_at IS NULL"));
        Assert.Equal(HttpStatusCode.OK, (await flow.RefreshAsync(client, stays["refresh_token"]!)).Status);
        Assert.Equal(
            (0, "user_left: sessions ended: 0, consents taken back\n", ""), await RunAsync("users", "revoke", "user_left", "--reason", "to be sure"));
    }

    [Fact]
    public async Task Find_and_show_print_who_is_meant_and_what_is_known()
    {
        var client = await OAuthFlow.AddClientAsync(app, name: "Career Coach");
        var session = AccessTokenText.SessionId((await flow.TokensAsync(client, "user_known"))["access_token"]!).ToString();
        await app.Database.ExecuteAsync("""
            UPDATE users SET email = 'known@example.com', name = E'Kim \u202Enwonk', plan = 'pro', plan_status = 'active' WHERE clerk_user_id = 'user_known';
            INSERT INTO verification_sessions (order_id, customer_email, status, deadline, created_at)
            VALUES ('order-known', 'Known@example.com', 'pending_verification', now(), now());
            INSERT INTO webhook_events (source, event_id, type, subject, status, attempts, received_at, processed_at, error, payload)
            VALUES ('clerk', 'evt_1', 'user.updated', 'user_known', 'failed', 2, now(), now(), E'broken\nline', '{}');
            """);

        var (code, text, _) = await RunAsync("users", "find", "order-known");
        Assert.Equal(0, code);
        Assert.StartsWith("user_known  active  known@example.com  Kim <U+202E>nwonk  plan pro active  since ", text, StringComparison.Ordinal);
        Assert.Contains("\norder order-known  pending_verification", text, StringComparison.Ordinal);
        var json = (await RunAsync("users", "find", "KNOWN@example.com", "--json")).Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal("user_known", JsonElement.Parse(json[0]).GetProperty("subject").GetString());
        Assert.Equal("order-known", JsonElement.Parse(json[1]).GetProperty("order_id").GetString());

        var shown = (await RunAsync("users", "show", "known@example.com")).Output;
        foreach (var line in (string[])
            [
                $"    {session}  Career Coach ({client.Id})  live", "Career Coach", "order order-known", "user.updated  failed  evt_1  broken<U+000A>line",
                "audit\n    none"])
        {
            Assert.Contains(line, shown, StringComparison.Ordinal);
        }

        var file = JsonElement.Parse((await RunAsync("users", "show", "user_known", "--json")).Output);
        Assert.Equal(session, file.GetProperty("sessions").GetProperty("rows")[0].GetProperty("id").GetString());
        Assert.Equal(client.Id, file.GetProperty("consents")[0].GetProperty("client_id").GetString());
    }

    [Theory]
    [InlineData("Nobody is known by nobody@example.com", "find", "nobody@example.com")]
    [InlineData("Nobody is known by user_nobody", "show", "user_nobody")]
    [InlineData("Nobody is known by user_nobody", "revoke", "user_nobody", "--reason", "why")]
    [InlineData("Option '--reason' is required.", "revoke", "user_nobody")]
    [InlineData("--reason is empty: say why.", "revoke", "user_nobody", "--reason", " ")]
    public async Task Nobody_and_no_reason_are_refused_with_a_sentence(string sentence, params string[] arguments)
    {
        var (code, _, error) = await RunAsync(["users", .. arguments]);
        Assert.Equal(1, code);
        Assert.StartsWith(sentence, error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Address_of_two_people_ends_nothing_and_names_both()
    {
        var tokens = await flow.TokensAsync(await OAuthFlow.AddClientAsync(app), "user_twin_1");
        await app.Database.ExecuteAsync("""
            UPDATE users SET email = 'twin@example.com' WHERE clerk_user_id = 'user_twin_1';
            INSERT INTO users (id, clerk_user_id, email, created_at) VALUES (gen_random_uuid(), 'user_twin_2', 'Twin@example.com', now());
            """);
        var (code, _, error) = await RunAsync("users", "revoke", "twin@example.com", "--reason", "left");
        Assert.Equal((1, "Several people are meant by twin@example.com; name one: user_twin_1 user_twin_2\n"), (code, error));
        Assert.Equal(HttpStatusCode.OK, (await flow.SessionsAsync(tokens["access_token"]!)).Status);
    }

    [Fact]
    public async Task Sessions_are_listed_of_a_person_or_an_app_page_by_page()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        foreach (var user in (string[])["user_listed", "user_listed", "user_listed", "user_other"])
        {
            await flow.TokensAsync(client, user);
        }

        var (code, output, error) = await RunAsync("sessions", "list", "--user", "user_listed", "--limit", "2", "--json");
        var first = output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonElement.Parse(line).GetProperty("id").GetString()!).ToList();
        Assert.Equal((0, 2, $"There are more: --after {first[1]}\n"), (code, first.Count, error));
        var (_, rest, end) = await RunAsync("sessions", "list", "--user", "user_listed", "--limit", "2", "--after", first[1]);
        Assert.Equal("", end);
        var last = Assert.Single(rest.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        Assert.DoesNotContain(last[..36], first);
        Assert.Contains($"  user_listed  {client.Id}  live  since ", last, StringComparison.Ordinal);
        Assert.Equal(
            4, (await RunAsync("sessions", "list", "--client", client.Id)).Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
        Assert.Equal((1, "", "--limit must be a number from 1 to 10000.\n"), await RunAsync("sessions", "list", "--limit", "0"));
    }

    private async Task<(int Code, string Output, string Error)> RunAsync(params string[] arguments) => await AppProcess.RunAsync(app.Settings, arguments);
}
