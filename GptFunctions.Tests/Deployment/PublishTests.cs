using System.Diagnostics;
using System.Net;
using System.Reflection.PortableExecutable;
using System.Text.Json;
using System.Text.RegularExpressions;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Deployment;

/// <summary>The image's publish step, run here: the Dockerfile's own command, with the stand-ins in place of the worker packages.</summary>
public sealed partial class PublishedProgram : AppFixture<PublishTests>, IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);

    public string Output { get; } = Path.Combine(TestServices.RepositoryRoot, ".local", "publish", "output");

    public string Program => Path.Combine(Output, "GptFunctions.dll");

    async Task IAsyncLifetime.InitializeAsync() => await Task.WhenAll(InitializeAsync(), PublishAsync());

    private async Task PublishAsync()
    {
        var dockerfile = await File.ReadAllTextAsync(Path.Combine(TestServices.RepositoryRoot, "infra", "container", "Dockerfile"));
        var command = PublishStep().Match(dockerfile.Replace("\\\n", " ", StringComparison.Ordinal)).Groups["arguments"].Value;
        var arguments = command
            .Replace("FunctionsWorker=package", "FunctionsWorker=standin", StringComparison.Ordinal)
            .Replace("${VERSION}", "1.2.3", StringComparison.Ordinal)
            .Replace("--no-restore", "", StringComparison.Ordinal)
            .Replace("-o /app", "", StringComparison.Ordinal)
            .Split(' ', StringSplitOptions.RemoveEmptyEntries);
        if (Directory.Exists(Output))
        {
            Directory.Delete(Output, recursive: true);
        }

        // Beside the checkout's own build, which is in use; kept, so that the next run compiles only what changed. Analyzers have had their turn.
        var start = new ProcessStartInfo(
            "dotnet", [.. arguments, "-o", Output, "--artifacts-path", Path.Combine(TestServices.RepositoryRoot, ".local", "publish", "artifacts"),
            "-p:RunAnalyzers=false", "--disable-build-servers", "-nodeReuse:false", "-v", "quiet", "-nologo"])
        { WorkingDirectory = TestServices.RepositoryRoot, RedirectStandardOutput = true, UseShellExecute = false };
        using var process = Process.Start(start)!;
        var said = process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync().WaitAsync(Patience);
        Assert.True(process.ExitCode == 0, await said);
    }

    [GeneratedRegex(@"^RUN dotnet (?<arguments>publish .*)$", RegexOptions.Multiline, matchTimeoutMilliseconds: 1000)]
    private static partial Regex PublishStep();
}

/// <summary>What the image runs: compiled ahead of time, complete, prepared by its own setup, and polite when it is told to end.</summary>
public sealed class PublishTests(PublishedProgram published) : IClassFixture<PublishedProgram>
{
    [Fact]
    public void Program_and_its_packages_are_compiled_ahead_of_time()
    {
        Assert.All(["GptFunctions.dll", "Microsoft.IdentityModel.Tokens.dll", "Npgsql.dll", "RabbitMQ.Client.dll"], name =>
        {
            using var assembly = new PEReader(File.OpenRead(Path.Combine(published.Output, name)));
            Assert.True(assembly.PEHeaders.CorHeader!.ManagedNativeHeaderDirectory.Size > 0, $"{name} holds no native code.");
        });
    }

    [Fact]
    public void Output_has_what_the_host_reads_and_nothing_of_this_machine()
    {
        var files = Directory.EnumerateFiles(published.Output, "*", SearchOption.AllDirectories).Select(file => Path.GetRelativePath(published.Output, file))
            .ToList();
        Assert.Contains("host.json", files);
        Assert.DoesNotContain("local.settings.json", files);
        Assert.DoesNotContain(files, file => file.Contains("Tests", StringComparison.Ordinal) || file.Contains("xunit", StringComparison.Ordinal));
        using var runtime = JsonDocument.Parse(File.ReadAllText(Path.Combine(published.Output, "GptFunctions.runtimeconfig.json")));
        Assert.True(runtime.RootElement.GetProperty("runtimeOptions").GetProperty("configProperties").GetProperty("System.Runtime.TieredPGO").GetBoolean());
    }

    /// <summary>The init container's command: it needs no Functions host.</summary>
    [Fact]
    public async Task Setup_of_the_published_program_prepares_an_empty_database()
    {
        await using var database = await TestDatabase.CreateAsync(nameof(PublishTests) + "_setup", isMigrated: false);
        var directory = Directory.CreateTempSubdirectory("gpt-published-");
        var settings = published.App.Settings.With([new("DATABASE_URL", database.Url)]);
        var (exitCode, output, error) = await AppProcess.RunProgramAsync(published.Program, directory.FullName, settings, "setup");
        directory.Delete(recursive: true);
        Assert.True(exitCode == 0, error);
        Assert.Contains("clients: first-client added", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Sigterm_with_a_request_in_flight_lets_it_finish_and_exits_with_0()
    {
        var app = published.App;
        var client = await OAuthFlow.AddClientAsync(app);
        await using var process = await AppProcess.StartAsync(app.Settings, program: published.Program);
        using var version = await JsonDocument.ParseAsync(await process.Http.GetStreamAsync(new Uri("/healthz", UriKind.Relative)));
        Assert.StartsWith("1.2.3", version.RootElement.GetProperty("version").GetString(), StringComparison.Ordinal);
        var flow = new OAuthFlow(process.Http);
        var tokens = await flow.TokensAsync(client, "user_published");

        await using var held = await app.Database.HoldAsync("LOCK TABLE gpt_refresh_tokens IN ACCESS EXCLUSIVE MODE");
        var refresh = flow.RefreshAsync(client, tokens["refresh_token"]!);
        await app.Database.WaitForBlockedAsync(1);
        var exit = process.StopAsync();
        await Wait.UntilAsync(() => process.Output.Any(line => line.Contains("is shutting down", StringComparison.Ordinal))); // the signal has arrived
        Assert.False(refresh.IsCompleted || exit.IsCompleted);
        await held.LetGoAsync();

        Assert.Equal(HttpStatusCode.OK, (await refresh).Status);
        Assert.Equal(0, await exit);
    }
}
