using System.Diagnostics;
using System.Net;
using System.Security.Cryptography;
using System.Text.Json;
using GptFunctions.Hosting;
using GptFunctions.Tests.Support;
using GptFunctions.Tokens;

namespace GptFunctions.Tests.Hosting;

/// <summary>hosting.md 17: a file under SECRETS_PATH wins over the variable, is trimmed, and is read again when it changes.</summary>
public sealed class SecretsDirectoryTests : IDisposable
{
    private readonly string directory = Directory.CreateTempSubdirectory("gpt-secrets-").FullName;

    public void Dispose() => Directory.Delete(directory, recursive: true);

    [Theory]
    [InlineData("GPT_CLIENT_ID")]
    [InlineData("gpt_client_id")]
    [InlineData("gpt-client-id")]
    [InlineData("Gpt-Client_ID")]
    public async Task File_of_any_case_and_with_dashes_wins_over_the_variable_and_is_trimmed(string name)
    {
        await WriteAsync(name, "  from-file \r\n");
        using var secrets = new SecretsDirectory(directory);
        secrets.Load();
        Assert.True(secrets.TryGet("GPT_CLIENT_ID", out var value));
        Assert.Equal("from-file", value);
    }

    [Fact]
    public async Task Files_with_a_leading_dot_directories_and_dangling_links_are_passed_over()
    {
        await WriteAsync(".hidden", "x");
        Directory.CreateDirectory(Path.Combine(directory, "folder"));
        File.CreateSymbolicLink(Path.Combine(directory, "dangling"), Path.Combine(directory, "gone"));
        await WriteAsync("here", "y");
        using var secrets = new SecretsDirectory(directory);
        secrets.Load();
        Assert.Equal(["HERE"], secrets.GetChildKeys([], null));
    }

    [Fact]
    public void Missing_directory_is_no_problem()
    {
        using var secrets = new SecretsDirectory(Path.Combine(directory, "missing"));
        secrets.Load();
        Assert.Empty(secrets.GetChildKeys([], null));
    }

    [Fact]
    public async Task Keys_that_Kubernetes_swaps_are_taken_over_without_a_restart_and_older_tokens_stay_good()
    {
        var (oldKey, newKey) = (SigningKey.Generate(), SigningKey.Generate());
        var (oldRefresh, newRefresh) = (NewRefreshKey(), NewRefreshKey());
        Mount(("gpt-ec-private-key", oldKey), ("gpt-refresh-key", oldRefresh));
        await using var app = await TestApp.StartAsync(nameof(SecretsDirectoryTests), new() { ["SECRETS_PATH"] = directory });
        var flow = new OAuthFlow(app.Http);
        var client = await OAuthFlow.AddClientAsync(app);
        var before = await flow.TokensAsync(client, "user_rotation");
        Assert.Equal([KeyIdOf(oldKey)], await PublishedKeysAsync(app));

        Mount(("gpt-ec-private-key", newKey), ("gpt-ec-previous-keys", oldKey), ("gpt-refresh-key", $"{newRefresh} {oldRefresh}"));
        await Wait.UntilAsync(async () => (await PublishedKeysAsync(app)).SequenceEqual([KeyIdOf(newKey), KeyIdOf(oldKey)]));

        Assert.Equal(HttpStatusCode.OK, (await flow.SessionsAsync(before["access_token"]!)).Status);
        var after = await flow.RefreshAsync(client, before["refresh_token"]!);
        Assert.Equal(KeyIdOf(newKey), Jwt.Parse(after["access_token"]!)!.KeyId);
        Assert.Equal(HttpStatusCode.OK, (await flow.SessionsAsync(after["access_token"]!)).Status);
        Assert.Equal(HmacOf(newRefresh, before["refresh_token"]!), after["refresh_token"]);
    }

    /// <summary>
    /// What is no key is fixed until the restart, and the same in every part: an issuer in the metadata that differs from the tokens' helps nobody.
    /// </summary>
    [Fact]
    public async Task Changed_base_url_takes_effect_at_the_restart_everywhere_and_a_changed_key_at_once()
    {
        var (oldKey, newKey) = (SigningKey.Generate(), SigningKey.Generate());
        Mount(("gpt-ec-private-key", oldKey), ("gpt-access-token-expiry", "600"));
        await using var app = await TestApp.StartAsync(nameof(SecretsDirectoryTests) + "_fixed", new() { ["SECRETS_PATH"] = directory });
        var client = await OAuthFlow.AddClientAsync(app);
        Assert.Equal(Enumerable.Repeat(app.BaseUrl, 7).Append("600"), await IssuersAsync(app, client));

        const string changed = "http://changed.example.com";
        Mount(("gpt-ec-private-key", newKey), ("gpt-access-token-expiry", "300"), ("public-base-url", changed));
        await Wait.UntilAsync(async () => (await PublishedKeysAsync(app)).SequenceEqual([KeyIdOf(newKey)]));
        Assert.Equal(Enumerable.Repeat(app.BaseUrl, 7).Append("600"), await IssuersAsync(app, client));

        await using var restarted = await app.StartReplicaAsync();
        Assert.Equal(Enumerable.Repeat(changed, 7).Append("300"), await IssuersAsync(restarted, client));
    }

    /// <summary>Wherever the issuer is said; and how long an access token lives.</summary>
    private static async Task<List<string?>> IssuersAsync(TestApp app, TestClient client)
    {
        var flow = new OAuthFlow(app.Http);
        var tokens = await flow.TokensAsync(client, "user_issuer");
        var claims = AccessTokenText.Claims(tokens["access_token"]!);
        var metadata = await ReadAsync("/.well-known/oauth-authorization-server");
        var resource = await ReadAsync("/.well-known/oauth-protected-resource");
        using var challenge = await app.Http.GetAsync(new Uri("/oauth/sessions", UriKind.Relative));
        return
        [
            claims.GetProperty("iss").GetString(), Before("/gpt", AccessTokenText.Audience(tokens["access_token"]!)[0]),
            metadata.GetProperty("issuer").GetString(), Before("/oauth/token", metadata.GetProperty("token_endpoint").GetString()),
            Before("/gpt", resource.GetProperty("resource").GetString()), resource.GetProperty("authorization_servers")[0].GetString(),
            Before("/.well-known", challenge.Headers.WwwAuthenticate.ToString().Split('"')[1]), tokens["expires_in"],
        ];

        static string? Before(string path, string? url) => url?.Split(path)[0];

        async Task<JsonElement> ReadAsync(string path) => JsonElement.Parse(await app.Http.GetStringAsync(new Uri(path, UriKind.Relative)));
    }

    [Fact]
    public async Task File_that_turns_bad_is_reported_without_its_content_and_the_last_good_key_stays()
    {
        var key = SigningKey.Generate();
        Mount(("gpt-ec-private-key", key));
        await using var app = await TestApp.StartAsync(nameof(SecretsDirectoryTests) + "_bad", new() { ["SECRETS_PATH"] = directory });
        var flow = new OAuthFlow(app.Http);
        var client = await OAuthFlow.AddClientAsync(app);
        var tokens = await flow.TokensAsync(client, "user_bad_file");

        Mount(("gpt-ec-private-key", "very-secret"));
        await Wait.UntilAsync(
            () => app.Log.Lines.Any(
                line => line.StartsWith("Error 1030", StringComparison.Ordinal)
                    && line.Contains("GPT_EC_PRIVATE_KEY is not the base64", StringComparison.Ordinal)));
        Assert.Equal(HttpStatusCode.OK, (await flow.RefreshAsync(client, tokens["refresh_token"]!)).Status);
        Assert.Equal([KeyIdOf(key)], await PublishedKeysAsync(app));
        Assert.DoesNotContain(app.Log.Lines, line => line.Contains("very-secret", StringComparison.Ordinal));
    }

    private static string NewRefreshKey() => Convert.ToBase64String(RandomNumberGenerator.GetBytes(32));

    private static string HmacOf(string key, string token) =>
        "gpt_rt_" + System.Buffers.Text.Base64Url.EncodeToString(
            HMACSHA256.HashData(Convert.FromBase64String(key), System.Text.Encoding.ASCII.GetBytes(token)));

    private static string KeyIdOf(string key)
    {
        Assert.True(SigningKey.TryParse(key, out var parsed));
        using (parsed)
        {
            return parsed!.KeyId;
        }
    }

    private static async Task<string[]> PublishedKeysAsync(TestApp app)
    {
        using var keys = JsonDocument.Parse(await app.Http.GetStringAsync(new Uri("/.well-known/jwks.json", UriKind.Relative)));
        return [.. keys.RootElement.GetProperty("keys").EnumerateArray().Select(key => key.GetProperty("kid").GetString()!)];
    }

    private Task WriteAsync(string name, string value) => File.WriteAllTextAsync(Path.Combine(directory, name), value);

    /// <summary>As the kubelet does it: the files in a new directory, a link to that directory swapped in one step, and a link per file that stays.</summary>
    private void Mount(params (string Name, string Value)[] files)
    {
        var version = Directory.CreateDirectory(Path.Combine(directory, $"..{Guid.NewGuid():N}")).Name;
        foreach (var (name, value) in files)
        {
            File.WriteAllText(Path.Combine(directory, version, name), value);
        }

        File.CreateSymbolicLink(Path.Combine(directory, "..data_tmp"), version);
        // Rename(2); .NET refuses links to directories.
        using (var rename = Process.Start("mv", ["-T", Path.Combine(directory, "..data_tmp"), Path.Combine(directory, "..data")]))
        {
            rename.WaitForExit();
            Assert.Equal(0, rename.ExitCode);
        }

        foreach (var (name, _) in files.Where(file => !Path.Exists(Path.Combine(directory, file.Name))))
        {
            File.CreateSymbolicLink(Path.Combine(directory, name), Path.Combine("..data", name));
        }
    }
}
