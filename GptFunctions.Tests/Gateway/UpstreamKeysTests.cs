using System.Net;
using GptFunctions.Gateway;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Gateway;

/// <summary>mcp.md 1: an upstream that wants a key gets it from the gateway, and nobody else gets to see it.</summary>
public sealed class UpstreamKeysTests : IAsyncLifetime
{
    private readonly string directory = Directory.CreateTempSubdirectory("gpt-keys-").FullName;
    private readonly string secrets = Directory.CreateTempSubdirectory("gpt-keys-secrets-").FullName;
    private TestUpstream upstream = null!;

    public async Task InitializeAsync() => upstream = await TestUpstream.StartAsync();

    public async Task DisposeAsync()
    {
        await upstream.DisposeAsync();
        Directory.Delete(directory, recursive: true);
        Directory.Delete(secrets, recursive: true);
    }

    [Fact]
    public async Task Key_reaches_the_upstream_instead_of_the_callers_header_and_changes_with_its_file()
    {
        var (first, second) = ($"first-{Guid.NewGuid():N}", $"second-{Guid.NewGuid():N}");
        RunLog.NoteSecret(first);
        RunLog.NoteSecret(second);
        await File.WriteAllTextAsync(Path.Combine(secrets, "functions-key"), first + "\n");
        await using var app = await StartAsync(
            """
            "headers": { "x-functions-key": "{secret:FUNCTIONS_KEY}", "Authorization": "Bearer {secret:API_TOKEN}", "x-tenant": "ours" },
            "passHeaders": ["x-functions-key", "x-other"],
            """, ("SECRETS_PATH", secrets), ("API_TOKEN", "of-the-environment"));
        var user = await new GatewayUsers(app).AddAsync();

        var echo = await app.Http.EchoAsync(user, "/gpt/echo", ("X-Functions-Key", "theirs"), ("X-Tenant", "theirs"), ("x-other", "passes"));
        Assert.Equal(
            (first, "Bearer of-the-environment", "ours", "passes"), (echo["x-functions-key"], echo["authorization"], echo["x-tenant"], echo["x-other"]));

        await File.WriteAllTextAsync(Path.Combine(secrets, "functions-key"), second);
        await Wait.UntilAsync(async () => (await app.Http.EchoAsync(user))["x-functions-key"] == second);

        // What is bad is reported by its name, and the last good one stays.
        await File.WriteAllTextAsync(Path.Combine(secrets, "functions-key"), "two\nlines-of-secret");
        await Wait.UntilAsync(() => app.Log.Lines.Any(
            line => line.StartsWith("Error 6024", StringComparison.Ordinal) && line.Contains("FUNCTIONS_KEY", StringComparison.Ordinal)));
        Assert.Equal(second, (await app.Http.EchoAsync(user))["x-functions-key"]);
        Assert.DoesNotContain(app.Log.Lines, line => line.Contains(first, StringComparison.Ordinal) || line.Contains(second, StringComparison.Ordinal)
            || line.Contains("lines-of-secret", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(
        null, "FUNCTIONS_KEY is not set; the gateway's route echo (line 3) sends it as x-functions-key. Set it, or put it into the file functions-key ")]
    [InlineData("umlaut-ä", "FUNCTIONS_KEY cannot stand in a header: it must be printable ASCII text of one line; ")]
    public async Task Start_without_a_secret_that_a_route_sends_stops_with_its_name(string? value, string expected)
    {
        var settings = TestApp.DefaultSettings("postgresql://nobody@127.0.0.1:1/none", TestApp.FreePort());
        settings["GATEWAY_CONFIG"] = Write("""  "headers": { "x-functions-key": "{secret:FUNCTIONS_KEY}" }, """);
        settings["FUNCTIONS_KEY"] = value;

        var (exitCode, _, error) = await AppProcess.RunAsync(settings);

        Assert.Equal(78, exitCode);
        Assert.Contains(" - " + expected, error, StringComparison.Ordinal);
        Assert.True(value is null || !error.Contains(value, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("x-internal-id")]
    [InlineData("X_User_Id")]
    [InlineData("x-gpt-scopes")]
    [InlineData("Connection")]
    [InlineData("Transfer-Encoding")]
    [InlineData("Host")]
    [InlineData("Content-Type")]
    [InlineData("Content-Length")]
    [InlineData("Cookie")]
    [InlineData("x-forwarded-for")]
    [InlineData("traceparent")]
    [InlineData("Accept-Encoding")]
    [InlineData("not a name")]
    public void Header_that_is_not_for_a_route_to_set_is_a_mistake(string name)
    {
        var problem = Assert.Single(GatewayConfig.Load(Write($$"""  "headers": { "{{name}}": "x" }, """)).Problems);

        Assert.StartsWith($"routes.json line 3: headers: '{name}' is not for a route to set; ", problem, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("\"{secret:functions_key}\"")]
    [InlineData("\"{secret:}\"")]
    [InlineData("\"{secret:A B}\"")]
    [InlineData("\"line\\nbreak\"")]
    [InlineData("\"\"")]
    [InlineData("7")]
    public void Value_that_no_header_can_have_is_a_mistake(string value)
    {
        var problem = Assert.Single(GatewayConfig.Load(Write($$"""  "headers": { "x-key": {{value}} }, """)).Problems);

        Assert.StartsWith("routes.json line 3: headers: 'x-key' must be printable ASCII text, ", problem, StringComparison.Ordinal);
    }

    private async Task<TestApp> StartAsync(string headers, params (string Name, string? Value)[] settings)
    {
        var all = settings.ToDictionary(setting => setting.Name, setting => setting.Value, StringComparer.Ordinal);
        all["GATEWAY_CONFIG"] = Write(headers);
        all["GATEWAY_READ_LIMIT"] = "100000"; // it asks until a file was read
        return await TestApp.StartAsync(TestDatabase.NameFor(typeof(UpstreamKeysTests)), all);
    }

    private string Write(string headers)
    {
        var path = Path.Combine(directory, "routes.json");
        File.WriteAllText(path, $$"""
            {
              "routes": [
                { "name": "echo", "methods": ["GET"], "path": "/gpt/echo", {{headers.ReplaceLineEndings(" ")}} "upstream": "{{upstream.Url}}",
                  "scope": "jobs:read", "tier": "read" }
              ]
            }
            """);
        return path;
    }
}
