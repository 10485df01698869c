using System.Text.Json;
using GptFunctions.Audit;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Webhooks;

/// <summary>"`GptFunctions webhooks list --status failed` and `webhooks replay SOURCE ID` exist for operators."</summary>
public sealed class WebhookCommandsTests(WebhookFixture<WebhookCommandsTests> fixture) : IClassFixture<WebhookFixture<WebhookCommandsTests>>
{
    private const long Time = 1_700_000_000_000;
    private readonly TestApp app = fixture.App;
    private readonly string user = WebhookSender.NewId("user");
    private readonly string id = WebhookSender.NewId("msg");

    [Fact]
    public async Task Failed_event_is_listed_and_replayed_once()
    {
        await FailAsync();

        var (exitCode, output, _) = await RunAsync("list", "--status", "failed", "--source", "clerk");
        Assert.Equal(0, exitCode);
        Assert.Matches($@"^\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\dZ  clerk +failed +1  user\.created +{id} of {user}  P0001: not now\n", output);
        Assert.DoesNotContain("@example.com", output, StringComparison.Ordinal);

        var (failedAgain, _, error) = await RunAsync("replay", "clerk", id);
        Assert.Equal((1, "failed: The event could not be handled; deliver it again\n"), (failedAgain, error));

        await app.Database.ExecuteAsync($"DROP FUNCTION refuse_{user} CASCADE");
        Assert.Equal((0, "completed\n", ""), await RunAsync("replay", "clerk", id));
        Assert.Equal(
            "completed 3",
            await app.Database.ScalarAsync<string>("SELECT concat_ws(' ', status, attempts) FROM webhook_events WHERE event_id = $1", id));
        var told = Assert.Single(await app.Database.EventsAsync(AuditEvents.UserUpdated, "clerk_user_id", user));
        Assert.Equal("replay", told.GetProperty("payload").GetProperty("ip_address").GetString());

        var (notAgain, _, problem) = await RunAsync("replay", "clerk", id);
        Assert.Equal((1, "clerk has no failed event with this id: see webhooks list --status failed.\n"), (notAgain, problem));
    }

    [Fact]
    public async Task List_as_json_gives_an_object_a_line_newest_first()
    {
        await fixture.Sender.ClerkAsync(Events.User("user.created", user, Time), id);
        await fixture.Sender.StripeAsync(Events.Stripe("customer.created", 1_700_000_000, [], id));

        var (exitCode, output, _) = await RunAsync("list", "--json", "--limit", "1");

        Assert.Equal(0, exitCode);
        var row = JsonElement.Parse(Assert.Single(output.Split('\n', StringSplitOptions.RemoveEmptyEntries)));
        Assert.Equal(("stripe", id, "ignored", 1), (
            row.GetProperty("source").GetString(),
            row.GetProperty("event_id").GetString(),
            row.GetProperty("status").GetString(),
            row.GetProperty("attempts").GetInt32()));
    }

    [Theory]
    [InlineData("list", "--status", "done")]
    [InlineData("list", "--limit", "0")]
    [InlineData("replay", "github", "1")]
    [InlineData("replay", "clerk")]
    public async Task Words_that_mean_nothing_are_refused_with_a_sentence(params string[] words)
    {
        var (exitCode, _, error) = await RunAsync(words);
        Assert.Equal(1, exitCode);
        Assert.NotEmpty(error);
    }

    private async Task FailAsync()
    {
        await app.Database.ExecuteAsync($"""
            CREATE FUNCTION refuse_{user}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not now'; END $$;
            CREATE TRIGGER refuse_{user} BEFORE INSERT OR UPDATE ON users FOR EACH ROW WHEN (NEW.clerk_user_id = '{user}') EXECUTE FUNCTION refuse_{user}()
            """);
        await fixture.Sender.ClerkAsync(Events.User("user.created", user, Time), id);
    }

    private Task<(int ExitCode, string Output, string Error)> RunAsync(params string[] words) => AppProcess.RunAsync(app.Settings, ["webhooks", .. words]);
}
