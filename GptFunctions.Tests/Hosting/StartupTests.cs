using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Security.Cryptography;
using GptFunctions.Hosting;
using GptFunctions.OAuth;
using GptFunctions.Tests.Support;
using GptFunctions.Tokens;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;

namespace GptFunctions.Tests.Hosting;

/// <summary>
/// architecture.md 7, hosting.md 18 and 20: a missing secret or an unsafe combination stops start-up in Production, with all problems listed at
/// once.
/// </summary>
public sealed class StartupTests
{
    private const string Nowhere = "postgresql://app:very-secret@127.0.0.1:1/none";

    public static TheoryData<string, string?, string> Refused => new()
    {
        { "DATABASE_URL", null, "DATABASE_URL is missing" },
        { "DATABASE_URL", "mysql://app:very-secret@host/db", "DATABASE_URL is neither" },
        { "DATABASE_POOL_SIZE", "0", "DATABASE_POOL_SIZE must be between 1 and 500." },
        { "DATABASE_POOL_SIZE", "many", "DATABASE_POOL_SIZE must be a whole number between 1 and 500." },
        { "PORT", "http", "PORT must be a whole number between 1 and 65535." },
        { "PORT", "70000", "PORT must be between 1 and 65535." },
        { "PUBLIC_BASE_URL", null, "PUBLIC_BASE_URL is missing" },
        { "PUBLIC_BASE_URL", "http://api.example.com", "PUBLIC_BASE_URL must start with https:// in Production." },
        { "PUBLIC_BASE_URL", "https://api.example.com/", "PUBLIC_BASE_URL must be scheme and host only" },
        { "PUBLIC_BASE_URL", "https://API.example.com", "PUBLIC_BASE_URL must be scheme and host only" },
        { "PUBLIC_BASE_URL", "api.example.com", "PUBLIC_BASE_URL must be scheme and host only" },
        { "GPT_CLIENT_ID", null, "GPT_CLIENT_ID is missing" },
        { "GPT_CLIENT_ID", "my gpt", "GPT_CLIENT_ID must be" },
        { "GPT_CLIENT_SECRET", null, "GPT_CLIENT_SECRET is missing" },
        { "GPT_CLIENT_SECRET", "very-secret", "GPT_CLIENT_SECRET is too short" },
        { "GPT_REDIRECT_URI", null, "GPT_REDIRECT_URI is missing" },
        { "GPT_REDIRECT_URI", "https://chatgpt.com/callback?iss=x", "GPT_REDIRECT_URI: 'https://chatgpt.com/callback?iss=x' has the parameter iss" },
        { "GPT_REDIRECT_URI", "http://chatgpt.com/callback", "GPT_REDIRECT_URI: 'http://chatgpt.com/callback' must use https" },
        { "GPT_CLIENT_AUTH_METHODS", "none", "GPT_CLIENT_AUTH_METHODS must be" },
        { "GPT_EC_PRIVATE_KEY", null, "GPT_EC_PRIVATE_KEY is missing" },
        { "GPT_EC_PRIVATE_KEY", "very-secret", "GPT_EC_PRIVATE_KEY is not the base64" },
        { "GPT_EC_PREVIOUS_KEYS", "very-secret", "GPT_EC_PREVIOUS_KEYS holds a value" },
        { "GPT_REFRESH_KEY", null, "GPT_REFRESH_KEY is missing" },
        { "GPT_REFRESH_KEY", "very-secret", "GPT_REFRESH_KEY must be" },
        { "GPT_AUTH_CODE_EXPIRY", "301", "GPT_AUTH_CODE_EXPIRY must be between 1 and 300 seconds." },
        { "GPT_ACCESS_TOKEN_EXPIRY", "15m", "GPT_ACCESS_TOKEN_EXPIRY must be a whole number between 10 and 86400 seconds." },
        { "GPT_REFRESH_TOKEN_EXPIRY", "99999999999", "GPT_REFRESH_TOKEN_EXPIRY must be a whole number between 60 and 31536000 seconds." },
        { "GPT_SESSION_EXPIRY", "-1", "GPT_SESSION_EXPIRY must be between" },
        { "GPT_REFRESH_GRACE", "2592000", "GPT_REFRESH_GRACE must be" },
        { "GPT_REDIRECT_URIS_ALLOWED", "https://app.example/cb",
            "GPT_REDIRECT_URIS_ALLOWED: 'https://app.example/cb' is not an absolute URI of an app's own" },
        { "GPT_REDIRECT_URIS_ALLOWED", "myapp://cb javascript:alert(1)", "GPT_REDIRECT_URIS_ALLOWED: 'javascript:alert(1)' is not" },
        { "GPT_REDIRECT_URIS_ALLOWED", "myapp://*/cb", "GPT_REDIRECT_URIS_ALLOWED: 'myapp://*/cb' is not" },
        { "GPT_MAX_SESSIONS_PER_USER", "0", "GPT_MAX_SESSIONS_PER_USER must be between" },
        { "GPT_AUTHORIZE_LIMIT", "0", "GPT_AUTHORIZE_LIMIT must be between 1 and 100000" },
        { "GPT_AUTH_FAILURE_LIMIT", "0", "GPT_AUTH_FAILURE_LIMIT must be between" },
        { "GPT_AUTH_FAILURE_LIMIT", "10001", "GPT_AUTH_FAILURE_LIMIT must be between 1 and 10000." },
        { "GPT_AUTH_FAILURE_LIMIT", "3000000000", "GPT_AUTH_FAILURE_LIMIT must be a whole number between 1 and 10000." },
        { "GPT_SCOPES", "jobs:read", "GPT_SCOPES must be" },
        { "CLERK_ISSUER", null, "CLERK_ISSUER is missing" },
        { "CLERK_ISSUER", "http://clerk.example.com", "CLERK_ISSUER must start with https:// in Production." },
        { "CLERK_OAUTH_CLIENT_ID", null, "CLERK_OAUTH_CLIENT_ID is missing" },
        { "CLERK_OAUTH_CLIENT_SECRET", null, "CLERK_OAUTH_CLIENT_SECRET is missing" },
        { "CLERK_AUTHORIZED_PARTIES", null, "CLERK_AUTHORIZED_PARTIES is missing" },
        { "RABBITMQ_URL", null, "RABBITMQ_URL is missing" },
        { "RABBITMQ_URL", "http://broker:15672", "RABBITMQ_URL must be an amqp:// or amqps:// URL" },
        { "AUDIT_QUEUE_TYPE", "stream", "AUDIT_QUEUE_TYPE must be classic or quorum." },
        { "OUTBOX_RELAY", "yes", "OUTBOX_RELAY must be true or false." },
        { "PURGE_RETENTION_DAYS", "0", "PURGE_RETENTION_DAYS must be between 1 and 3650." },
        { "PURGE_BATCH_SIZE", "0", "PURGE_BATCH_SIZE must be between 1 and 100000." },
    };

    [Theory]
    [MemberData(nameof(Refused))]
    public async Task Production_with_a_missing_or_unsafe_setting_does_not_start_and_names_it(string setting, string? value, string expected)
    {
        var settings = ProductionSettings(Nowhere);
        settings[setting] = value;
        await using var app = StandaloneHost.Build(builder =>
        {
            builder.Configuration.AddInMemoryCollection(settings);
            Features.Add(builder);
        });
        var problems = Startup.Problems(await Assert.ThrowsAnyAsync<Exception>(() => app.StartAsync()));
        Assert.NotEmpty(problems);
        Assert.All(problems, problem => Assert.StartsWith(setting, problem, StringComparison.Ordinal));
        Assert.Contains(problems, problem => problem.StartsWith(expected, StringComparison.Ordinal));
        Assert.All(problems, problem => Assert.DoesNotContain("very-secret", problem, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Production_without_any_setting_lists_them_all_and_exits_with_78()
    {
        var nothing = ProductionSettings(Nowhere).ToDictionary(setting => setting.Key, _ => (string?)null, StringComparer.Ordinal);
        var (exitCode, output, error) = await AppProcess.RunAsync(nothing);
        Assert.Equal(78, exitCode);
        Assert.StartsWith("GptFunctions cannot start: 12 settings need attention.\n - DATABASE_URL is missing", error, StringComparison.Ordinal);
        Assert.All(
            [
                "DATABASE_URL", "PUBLIC_BASE_URL", "GPT_CLIENT_ID", "GPT_CLIENT_SECRET", "GPT_REDIRECT_URI", "GPT_EC_PRIVATE_KEY", "GPT_REFRESH_KEY",
                "CLERK_ISSUER", "CLERK_OAUTH_CLIENT_ID", "CLERK_OAUTH_CLIENT_SECRET", "CLERK_AUTHORIZED_PARTIES", "RABBITMQ_URL",
            ],
            name => Assert.Contains($"\n - {name} is missing", error, StringComparison.Ordinal));
        Assert.DoesNotContain("   at ", output + error, StringComparison.Ordinal); // sentences, no stack traces
    }

    [Fact]
    public async Task Production_with_bad_values_lists_them_all_and_prints_none_of_them()
    {
        var settings = ProductionSettings("postgresql://app:very-secret@host/db?nonsense=very-secret");
        foreach (var secret in (string[])["GPT_CLIENT_SECRET", "GPT_EC_PRIVATE_KEY", "GPT_REFRESH_KEY", "GPT_EC_PREVIOUS_KEYS"])
        {
            settings[secret] = "very-secret";
        }

        settings["PORT"] = "a-port";
        settings["AZURE_FUNCTIONS_ENVIRONMENT"] = "development"; // not in so many words: Production
        var (exitCode, output, error) = await AppProcess.RunAsync(settings);
        Assert.Equal(78, exitCode);
        Assert.StartsWith("GptFunctions cannot start: 6 settings need attention.", error, StringComparison.Ordinal);
        Assert.DoesNotContain("very-secret", output + error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Command_with_missing_settings_is_refused_like_the_start()
    {
        var settings = ProductionSettings(Nowhere);
        settings["DATABASE_URL"] = settings["GPT_REFRESH_KEY"] = settings["CLERK_ISSUER"] = null;
        var (exitCode, output, error) = await AppProcess.RunAsync(settings, "setup");
        Assert.Equal((78, ""), (exitCode, output));
        Assert.StartsWith("GptFunctions cannot start: 3 settings need attention.\n - DATABASE_URL is missing", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Production_with_all_settings_serves_and_has_no_development_routes()
    {
        await using var database = await TestDatabase.CreateAsync(nameof(StartupTests));
        await using var app = await AppProcess.StartAsync(ProductionSettings(database.Url));
        foreach (var path in (string[])["/dev/sign-in", "/dev/callback"])
        {
            using var answer = await app.Http.GetAsync(new Uri(path, UriKind.Relative));
            Assert.Equal(System.Net.HttpStatusCode.NotFound, answer.StatusCode);
        }
    }

    [Fact]
    public async Task Development_starts_with_DATABASE_URL_alone()
    {
        var directory = Directory.CreateTempSubdirectory("gpt-development-").FullName;
        await using var database = await TestDatabase.CreateAsync(nameof(StartupTests) + "_development");
        var settings = ProductionSettings(database.Url).ToDictionary(
            setting => setting.Key, setting => setting.Key is "DATABASE_URL" ? setting.Value : null, StringComparer.Ordinal);
        settings["AZURE_FUNCTIONS_ENVIRONMENT"] = "Development";
        settings["PORT"] = null;
        await using var app = await AppProcess.StartAsync(settings, directory);
        using var answer = await app.Http.GetAsync(new Uri("/.well-known/jwks.json", UriKind.Relative));
        Assert.True(answer.IsSuccessStatusCode);
        var keys = new FileInfo(Path.Combine(directory, ".local", "development.env"));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, keys.UnixFileMode);
        Directory.Delete(directory, recursive: true);
    }

    /// <summary>As in the image, whose directory is read-only: a file stands where the directory would be made, which stops root as well.</summary>
    [Fact]
    public async Task Development_where_nothing_can_be_written_starts_when_every_key_is_given_and_says_else_what_is_missing()
    {
        var directory = Directory.CreateTempSubdirectory("gpt-read-only-").FullName;
        await File.WriteAllTextAsync(Path.Combine(directory, ".local"), "");
        await using var database = await TestDatabase.CreateAsync(nameof(StartupTests) + "_read_only");
        var settings = TestApp.DefaultSettings(database.Url, TestApp.FreePort());
        await using (await AppProcess.StartAsync(settings, directory))
        {
        }

        var setup = await AppProcess.RunInAsync(directory, settings, "setup");
        Assert.Equal((0, ""), (setup.ExitCode, setup.Error));
        Assert.Contains("demo-client.env with id, secret and redirect URI could not be written", setup.Output, StringComparison.Ordinal);

        settings["GPT_REFRESH_KEY"] = settings["GPT_CLIENT_SECRET"] = null;
        foreach (var arguments in (string[][])[[], ["setup"]])
        {
            var (exitCode, output, error) = await AppProcess.RunInAsync(directory, settings, arguments);
            Assert.Equal((78, ""), (exitCode, output));
            Assert.StartsWith(
                $"GptFunctions cannot start: one setting needs attention.\n - GPT_REFRESH_KEY, GPT_CLIENT_SECRET: Development makes what is missing and "
                    + $"keeps it in {directory}/.local/development.env, but that could not be written",
                error, StringComparison.Ordinal);
            Assert.Equal(2, error.TrimEnd().Split('\n').Length);
        }

        Directory.Delete(directory, recursive: true);
    }

    [Fact]
    public async Task Development_writes_only_what_no_setting_gives_and_adds_what_is_missing_later()
    {
        var directory = Directory.CreateTempSubdirectory("gpt-partly-").FullName;
        await using var database = await TestDatabase.CreateAsync(nameof(StartupTests) + "_partly");
        var settings = TestApp.DefaultSettings(database.Url, TestApp.FreePort());
        settings["GPT_REFRESH_KEY"] = null;
        Assert.Equal(0, (await AppProcess.RunInAsync(directory, settings, "setup")).ExitCode);
        var first = await File.ReadAllLinesAsync(Path.Combine(directory, ".local", "development.env"));
        settings["GPT_EC_PRIVATE_KEY"] = null;
        Assert.Equal(0, (await AppProcess.RunInAsync(directory, settings, "setup")).ExitCode);
        var second = await File.ReadAllLinesAsync(Path.Combine(directory, ".local", "development.env"));

        Assert.StartsWith("GPT_REFRESH_KEY=", Assert.Single(first), StringComparison.Ordinal);
        Assert.Equal((2, first[0]), (second.Length, second[0]));
        Assert.StartsWith("GPT_EC_PRIVATE_KEY=", second[1], StringComparison.Ordinal);
        Directory.Delete(directory, recursive: true);
    }

    [Fact]
    public async Task Start_on_a_port_that_is_taken_is_refused_with_a_sentence()
    {
        using var taken = new TcpListener(System.Net.IPAddress.Loopback, 0);
        taken.Start();
        var settings = ProductionSettings(Nowhere);
        settings["PORT"] = ((System.Net.IPEndPoint)taken.LocalEndpoint).Port.ToString(CultureInfo.InvariantCulture);
        var (exitCode, _, error) = await AppProcess.RunAsync(settings);
        Assert.Equal(78, exitCode);
        Assert.Contains("PORT must be free", error, StringComparison.Ordinal);
    }

    private static Dictionary<string, string?> ProductionSettings(string databaseUrl) => new(StringComparer.Ordinal)
    {
        ["AZURE_FUNCTIONS_ENVIRONMENT"] = null,
        ["SECRETS_PATH"] = "/nonexistent",
        ["PORT"] = TestApp.FreePort().ToString(CultureInfo.InvariantCulture),
        ["DATABASE_URL"] = databaseUrl,
        ["PUBLIC_BASE_URL"] = "https://api.example.com",
        ["GPT_CLIENT_ID"] = "company-gpt",
        ["GPT_CLIENT_SECRET"] = Secret.New(),
        ["GPT_REDIRECT_URI"] = "https://chatgpt.com/aip/g-first/oauth/callback",
        ["GPT_EC_PRIVATE_KEY"] = SigningKey.Generate(),
        ["GPT_REFRESH_KEY"] = Convert.ToBase64String(RandomNumberGenerator.GetBytes(32)),
        ["CLERK_ISSUER"] = "https://clerk.example.com",
        ["CLERK_OAUTH_CLIENT_ID"] = "clerk-client",
        ["CLERK_OAUTH_CLIENT_SECRET"] = Secret.New(),
        ["CLERK_AUTHORIZED_PARTIES"] = "https://app.example.com",
        ["RABBITMQ_URL"] = "amqp://guest:very-secret@127.0.0.1:1",
    };
}
