using System.Diagnostics;
using System.Text;

namespace GptFunctions.Tests.Support;

/// <summary>
/// A checkout of its own in a temporary directory, built already: what a developer's commands do there touches no other checkout. Its servers are
/// those of the tests, its database the one that it is given.
/// </summary>
internal sealed class Checkout : IAsyncDisposable
{
    private static readonly string[] Copied =
        ["Functions.sln", "Makefile", "README.md", "host.json", "local.settings.sample.json", "infra/dev", "infra/config", "GptFunctions/GptFunctions.csproj"];

    private readonly TimeSpan patience;
    private readonly Dictionary<string, string?> settings;
    private readonly List<Process> running = [];

    private Checkout(string directory, Dictionary<string, string?> settings, TimeSpan patience) =>
        (Directory, this.settings, this.patience) = (directory, settings, patience);

    public string Directory { get; }

    public int Port { get; } = TestApp.FreePort();

    public static async Task<Checkout> CreateAsync(TestDatabase database)
    {
        var directory = System.IO.Directory.CreateTempSubdirectory("gpt-checkout-").FullName;
        foreach (var name in Copied)
        {
            Copy(Path.Combine(TestServices.RepositoryRoot, name), Path.Combine(directory, name));
        }

        var built = Path.Combine(directory, "GptFunctions", "bin", "Release");
        System.IO.Directory.CreateDirectory(built);
        System.IO.Directory.CreateDirectory(Path.Combine(directory, ".local"));
        File.CreateSymbolicLink(Path.Combine(built, "net10.0"), AppContext.BaseDirectory.TrimEnd('/'));
        await File.WriteAllTextAsync(Path.Combine(directory, ".local", "build-Release.stamp"), "");
        File.SetLastWriteTimeUtc(Path.Combine(directory, ".local", "build-Release.stamp"), new DateTime(2100, 1, 1, 0, 0, 0, DateTimeKind.Utc));
        return new Checkout(directory, new(StringComparer.Ordinal)
        {
            ["DATABASE_URL"] = database.Url,
            ["RABBITMQ_URL"] = await TestServices.RabbitMqUrlAsync(),
            ["SECRETS_PATH"] = "/nonexistent",
            ["OUTBOX_RELAY"] = "false", // the broker is that of all tests
            ["AzureWebJobs.AuditConsumer.Disabled"] = "true",
        }, TimeSpan.FromSeconds(90));
    }

    /// <summary>What was committed, as a stranger clones it: nothing is built, and servers are brought by whoever needs them.</summary>
    public static async Task<Checkout> CloneAsync()
    {
        var directory = System.IO.Directory.CreateTempSubdirectory("gpt-clone-").FullName;
        using var clone = Process.Start("git", ["clone", "--quiet", TestServices.RepositoryRoot, directory]);
        await clone.WaitForExitAsync();
        Assert.Equal(0, clone.ExitCode);
        return new Checkout(directory, [], TimeSpan.FromMinutes(10));
    }

    /// <summary>Runs a line of a document as a person would, to its end.</summary>
    /// <param name="isBeside">As in another terminal: without the servers' addresses, which the first one was given.</param>
    public async Task<(int ExitCode, string Output)> RunAsync(string line, bool isBeside, params (string Name, string Value)[] more)
    {
        using var process = Start(line, isBeside, more);
        var (output, error) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        await process.WaitForExitAsync().WaitAsync(patience);
        return (process.ExitCode, await output + await error);
    }

    /// <summary>make run, until it is ready; what it printed until then.</summary>
    public Task<string> StartAsync(params (string Name, string Value)[] more) => StartAsync("make run", more);

    /// <param name="line">As it stands in a document.</param>
    public async Task<string> StartAsync(string line, (string Name, string Value)[] more)
    {
        var process = Start(line, isBeside: false, [("PORT", $"{Port}"), .. more]);
        running.Add(process);
        var printed = new StringBuilder();
        var ready = new TaskCompletionSource();
        void Note(string? line)
        {
            lock (printed)
            {
                printed.AppendLine(line);
            }

            if (line?.Contains("Ctrl-C stops all of it", StringComparison.Ordinal) == true)
            {
                ready.TrySetResult();
            }
        }

        process.OutputDataReceived += (_, line) => Note(line.Data);
        process.ErrorDataReceived += (_, line) => Note(line.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        await Task.WhenAny(ready.Task, process.WaitForExitAsync(), Task.Delay(patience));
        lock (printed)
        {
            Assert.True(ready.Task.IsCompleted, printed.ToString());
            return printed.ToString();
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var process in running)
        {
            using var stop = Process.Start(new ProcessStartInfo("bash", ["infra/dev/run.sh", "stop"]) { WorkingDirectory = Directory })!;
            await stop.WaitForExitAsync().WaitAsync(patience);
            await process.WaitForExitAsync().WaitAsync(patience);
            process.Dispose();
        }

        System.IO.Directory.Delete(Directory, recursive: true);
    }

    private Process Start(string line, bool isBeside, (string Name, string Value)[] more)
    {
        var start = new ProcessStartInfo("bash", ["-c", line])
        {
            WorkingDirectory = Directory,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        foreach (var name in start.Environment.Keys.Where(name => SettingsTable.Names.Contains(name) || name is "MAKEFLAGS" or "MAKELEVEL").ToList())
        {
            start.Environment.Remove(name);
        }

        foreach (var (name, value) in isBeside ? [] : settings)
        {
            start.Environment[name] = value;
        }

        foreach (var (name, value) in more)
        {
            start.Environment[name] = value;
        }

        return Process.Start(start)!;
    }

    private static void Copy(string from, string to)
    {
        System.IO.Directory.CreateDirectory(Path.GetDirectoryName(to)!);
        if (File.Exists(from))
        {
            File.Copy(from, to);
            return;
        }

        foreach (var entry in System.IO.Directory.EnumerateFileSystemEntries(from).Where(entry => Path.GetFileName(entry) is not ("bin" or "obj" or "api")))
        {
            Copy(entry, Path.Combine(to, Path.GetFileName(entry)));
        }
    }
}
