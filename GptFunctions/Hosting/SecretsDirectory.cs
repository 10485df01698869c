using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.FileProviders;
using Microsoft.Extensions.Primitives;

namespace GptFunctions.Hosting;

/// <summary>
/// Settings as files: <c>gpt-client-secret</c> under <c>SECRETS_PATH</c> is the setting <c>GPT_CLIENT_SECRET</c> and wins over
/// the environment variable. Values are trimmed. The directory is watched by polling, because Kubernetes swaps a
/// symbolic link, which no file system event tells.
/// </summary>
internal sealed class SecretsSource : IConfigurationSource
{
    public string Path { get; set; } = "";

    public IConfigurationProvider Build(IConfigurationBuilder builder) => new SecretsDirectory(Path);
}

/// <inheritdoc cref="SecretsSource"/>
internal sealed class SecretsDirectory : ConfigurationProvider, IDisposable
{
    private readonly string path;
    private readonly PhysicalFileProvider? files;
    private readonly IDisposable? watch;

    public SecretsDirectory(string path)
    {
        this.path = path;
        if (!Directory.Exists(path))
        {
            return;
        }

        files = new PhysicalFileProvider(Path.GetFullPath(path)) { UsePollingFileWatcher = true, UseActivePolling = true };
        watch = ChangeToken.OnChange(() => files.Watch("*"), () =>
        {
            Load();
            OnReload();
        });
    }

    public override void Load()
    {
        var read = new Dictionary<string, string?>(StringComparer.OrdinalIgnoreCase);
        foreach (var file in files is null ? [] : new DirectoryInfo(path).EnumerateFiles().Where(file => !file.Name.StartsWith('.')))
        {
            try
            {
                read[SettingName(file.Name)] = File.ReadAllText(file.FullName).Trim();
            }
            catch (FileNotFoundException)
            {
                // A link whose target Kubernetes has just removed; the link goes next.
            }
        }

        Data = read;
    }

    public void Dispose()
    {
        watch?.Dispose();
        files?.Dispose();
    }

    private static string SettingName(string file) => file.Replace('-', '_').ToUpperInvariant();
}
